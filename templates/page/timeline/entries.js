// A request's life as an ordered list of entries: what happened, oldest first, then what is planned. Nothing here
// touches the document; every text may hold a stranger's words and is to be shown as text.

import { asker, people } from '../asker.js';
import { place, sentence, tone } from '../ending.js';
import { endedAt } from '../state.js';
import { now } from '../time.js';
import { ATTEMPTS, ENDINGS, VERDICTS, badgeOf, lengthy, nameOf, statusOf, valueLines } from './words.js';

// What has one and the same time stands in the order in which one thing leads to the next.
const RANKS = { asked: 0, delivery: 1, attempt: 2, response: 3, ending: 4, late: 5 };

/**
 * The entries of a request: {key, kind, at, tone, title, badge, lines: [{label, text}]}. `kind` is asked, delivery,
 * attempt, response, ending or next; `at` is null where the hub does not tell when, `badge` where the title is enough.
 */
export function timeline(request, { deliveries = [], responses = [] }, me, from = now()) {
  const facts = [asked(request, me), ...responses.map((response) => answer(request, response, me))];
  const plans = [];
  for (const delivery of deliveries) {
    facts.push(carried(request, delivery, me), ...tries(request, delivery, me));
    if (delivery.next_attempt_at) plans.push(planned(request, delivery, me, from));
  }
  if (request.status !== 'pending') facts.push(over(request, me, from));
  return [...facts.sort(inOrder), ...plans.sort(inOrder)].map(({ rank, ...entry }) => entry);
}

function asked(request, me) {
  const { name, behind } = asker(request);
  const token = behind && behind !== name ? ` (${behind === me?.username ? 'your' : `${behind}’s`} token)` : '';
  const self = !request.asker?.token && request.asker?.id === me?.id;
  const title = `Asked by ${self ? 'you' : name}${token}, of ${people(request.to, me) || 'nobody'}`;
  return entry('asked', 'asked', request.created_at ?? null, { title });
}

function carried(request, delivery, me) {
  const who = nameOf(request, delivery.user_id, me);
  const { badge, tone, words } = statusOf(delivery, who);
  const accounts = [delivery.user_id, ...(request.to ?? []).map((person) => person.id)];
  return entry('delivery', `delivery ${delivery.id}`, beganAt(request, delivery), {
    title: `Delivery to ${who} over ${delivery.channel}`,
    badge,
    tone,
    lines: [
      // On some channels people are reached by their account, whose id tells nobody anything.
      !accounts.includes(delivery.address) && line('Address', delivery.address),
      line('Status', words),
      line('Reason', delivery.reason),
    ],
  });
}

function tries(request, delivery, me) {
  const who = nameOf(request, delivery.user_id, me);
  const attempts = delivery.attempts ?? [];
  return attempts.map(({ number, at, error }, index) => {
    const running = !error && delivery.status === 'sending' && index === attempts.length - 1;
    return entry('attempt', `attempt ${delivery.id} ${number}`, at, {
      title: `Attempt ${number} to reach ${who} over ${delivery.channel}`,
      ...(error ? ATTEMPTS.error : running ? ATTEMPTS.running : ATTEMPTS.done),
      lines: [line('Error', error)],
    });
  });
}

function planned(request, delivery, me, from) {
  const which = delivery.attempts?.length ? 'Next' : 'First';
  return entry('next', `next ${delivery.id}`, delivery.next_attempt_at, {
    title: `${which} attempt to reach ${nameOf(request, delivery.user_id, me)} over ${delivery.channel}`,
    badge: moment(delivery.next_attempt_at) <= from * 1000 ? 'Due now' : 'Planned',
  });
}

function answer(request, response, me) {
  const { badge, tone } = VERDICTS[response.verdict] ?? badgeOf(response.verdict);
  const who = !response.by ? 'somebody without an account' : response.by.id === me?.id ? 'you' : response.by.username;
  return entry('response', `response ${response.id}`, response.at, {
    rank: response.verdict === 'late' ? RANKS.late : RANKS.response,
    title: `Response from ${who} ${place(response.channel)}`,
    badge,
    tone,
    lines: [
      ...valueLines(request, response.value),
      line('Comment', response.comment),
      line('Reason', response.reason),
    ],
  });
}

function over(request, me, from) {
  const { outcome, status } = request;
  const silent = outcome?.source === 'on_expiry';
  return entry('ending', 'ending', endedAt(request), {
    title: sentence(request, me, from),
    badge: silent ? ENDINGS.on_expiry : (ENDINGS[status] ?? badgeOf(status).badge),
    tone: tone(request),
    lines: [
      ...(outcome && (silent || request.kind !== 'approval') ? valueLines(request, outcome.value, 'Outcome') : []),
      silent && line('Source', 'on_expiry: what the asker had set for the case that nobody answers'),
    ],
  });
}

const line = (label, text) => (text ? { label, text: lengthy(String(text)) } : null);

const entry = (kind, key, at, { rank = RANKS[kind], tone = 'neutral', title, badge = null, lines = [] }) => ({
  key,
  kind,
  rank,
  at,
  tone,
  title,
  badge,
  lines: lines.filter(Boolean),
});

/**
 * When a delivery was begun. The hub does not say, but its ids are UUIDv7, whose first 48 bits are the millisecond.
 * Never before the request, nor after the first attempt.
 */
function beganAt(request, { id, attempts }) {
  const first = attempts?.[0]?.at ?? null;
  const created = request.created_at ?? null;
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7/i.exec(id) ?? [];
  if (!high) return first ?? created;
  const millis = parseInt(high + low, 16);
  if (first && millis * 1000 > moment(first)) return first;
  if (created && millis * 1000 < moment(created)) return created;
  return new Date(millis).toISOString();
}

/** Microseconds since 1970: the hub's times have six digits, of which Date keeps three. Unknown times come last. */
function moment(at) {
  const millis = Date.parse(at ?? '');
  if (Number.isNaN(millis)) return Infinity;
  const digits = /\.\d{3}(\d{1,3})/.exec(at)?.[1] ?? '';
  return millis * 1000 + Number(digits.padEnd(3, '0'));
}

// Two unknown times are equal, and Infinity minus itself is not a number.
const inOrder = (a, b) =>
  (moment(a.at) === moment(b.at) ? 0 : moment(a.at) - moment(b.at)) || a.rank - b.rank || (a.key < b.key ? -1 : 1);
