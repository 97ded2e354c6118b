// The timeline's plain words for states, verdicts, values and for what could not be loaded.

/** Longer texts are cut, and it is said by how much: a timeline is to be taken in at a glance. */
const TEXT_MAX = 2000;

const STATUSES = {
  queued: (who, { attempts }) => [
    'Queued',
    'neutral',
    attempts?.length ? 'Waits for its next attempt.' : 'Waits for its first attempt.',
  ],
  sending: () => ['Sending', 'neutral', 'An attempt is under way.'],
  sent: () => ['Sent', 'good', 'The channel took it.'],
  delivered: (who) => ['Delivered', 'good', `It reached ${who === 'you' ? 'your' : `${who}’s`} device.`],
  read: (who) => ['Read', 'good', who === 'you' ? 'You saw it.' : `${capital(who)} saw it.`],
  failed: () => ['Failed', 'bad', 'Given up on this channel.'],
  skipped: (who) => ['Skipped', 'late', `Sent as soon as ${who} ${who === 'you' ? 'connect' : 'connects'}.`],
  unknown: () => ['Unknown', 'late', 'It may or may not have been sent.'],
  settled: () => ['Settled', 'neutral', 'The request is over, and nothing is left to tell here.'],
};

/** Where a delivery stands. A newer hub may know more states; their names are shown as they are. */
export function statusOf(delivery, who) {
  if (!Object.hasOwn(STATUSES, delivery.status)) return { ...badgeOf(delivery.status), words: null };
  const [badge, tone, words] = STATUSES[delivery.status](who, delivery);
  return { badge, tone, words };
}

export const VERDICTS = {
  accepted: { badge: 'Accepted', tone: 'good' },
  invalid: { badge: 'Invalid', tone: 'bad' },
  late: { badge: 'Late', tone: 'late' },
  refused: { badge: 'Refused', tone: 'bad' },
};

export const ATTEMPTS = {
  error: { badge: 'Error', tone: 'bad' },
  running: { badge: 'Under way', tone: 'neutral' },
  done: { badge: 'No error', tone: 'good' },
};

export const ENDINGS = {
  answered: 'Answered',
  expired: 'Expired',
  cancelled: 'Cancelled',
  on_expiry: 'Expired, on_expiry applied',
};

const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);
export const badgeOf = (name) => ({ badge: capital(String(name ?? 'unknown').replaceAll('_', ' ')), tone: 'neutral' });

export function nameOf({ to }, id, me) {
  if (id === me?.id) return 'you';
  return to?.find((person) => person.id === id)?.username ?? 'somebody';
}

/** A value as lines of text: one for each property of a form's answer, by its title; options by their labels. */
export function valueLines({ options, schema }, value, label = 'Value') {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return [{ label, text: lengthy(shown(value, options)) }];
  const lines = Object.entries(value).map(([name, part]) => ({
    label: String(schema?.properties?.[name]?.title ?? name),
    text: lengthy(shown(part)),
  }));
  return lines.length ? lines : [{ label, text: '{}' }];
}

function shown(value, options) {
  if (value === '') return '(empty)';
  if (typeof value === 'string') return options?.find((option) => option.value === value)?.label ?? value;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value) && value.length && value.every((each) => each === null || typeof each !== 'object'))
    return value.map((each) => shown(each, options)).join(', ');
  return JSON.stringify(value, null, 2) ?? '(none)';
}

export function lengthy(text) {
  const characters = Array.from(text);
  const more = characters.length - TEXT_MAX;
  return more > 0 ? `${characters.slice(0, TEXT_MAX).join('')}… (${more} more characters)` : text;
}

/**
 * What is to be said about the lists a timeline is made of: {calm, text} for each that is missing or not whole. Not to
 * be shown something is no fault; that a call failed is.
 */
export function notes(lists) {
  const said = [];
  for (const [name, { items, more, problem }] of Object.entries(lists)) {
    if (problem) {
      const denied = isDenied(problem);
      const text = denied ? `Its ${name} are not shown to you.` : `Its ${name} could not be loaded. ${problem.message}`;
      said.push({ calm: denied, text });
    } else if (more) {
      said.push({ calm: true, text: `Only the first ${items.length} ${name} are shown. The API lists them all.` });
    }
  }
  return said;
}

export const isDenied = (problem) => problem.status === 403 || problem.status === 404;
