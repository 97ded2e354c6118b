// Lines for a shell that ask a first question of the person who reads them.

/** Quotes a word for a POSIX shell where it needs that. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

export const askLine = (username) => `hearback ask "Deploy 1.4.2?" --to ${quoted(username)} --approval --timeout 10m`;

export function pasteLines({ base, token, username }) {
  const url = new URL('.', base).href.replace(/\/$/, '');
  return [`export HEARBACK_URL=${quoted(url)}`, `export HEARBACK_TOKEN=${quoted(token)}`, askLine(username)].join('\n');
}
