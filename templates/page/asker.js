// Who asks, in words: the service token's name where there is one, and whose it is.

export function asker({ asker: who }) {
  if (!who) return { name: 'Somebody', behind: '' };
  return who.token ? { name: who.token, behind: who.username } : { name: who.username, behind: '' };
}

/** "you and ben": those who are asked. */
export function people(to, me) {
  const names = (to ?? []).map((person) => (person.id === me?.id ? 'you' : person.username));
  names.sort((a, b) => Number(b === 'you') - Number(a === 'you'));
  if (names.length > 4) return `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names.join('');
}
