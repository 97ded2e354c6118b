import assert from 'node:assert/strict';
import test from 'node:test';
import { createStore, empty, ended, news, reduce, unnamed, waiting } from '../state.js';
import { ANA, BEN, answered, asks, established, pending, settles } from './samples.mjs';

const signedIn = () => reduce(empty(), { type: 'page.signed_in', user: ANA });
const feed = (messages, from = signedIn()) => messages.reduce(reduce, from);
const ids = (requests) => requests.map((request) => request.id);

test('an event that comes twice changes nothing the second time', () => {
  const once = feed([established('0'), asks(1, pending('a')), settles(2, answered('a'))]);
  const twice = feed([asks(1, pending('a')), settles(2, answered('a'))], once);
  assert.equal(twice, once);
  assert.equal(twice.cursor, '2');
});

test('urgent first, then the soonest deadline', () => {
  const state = feed([
    asks(1, pending('late', { expires_at: '2026-11-21T12:00:00Z' })),
    asks(2, pending('soon', { expires_at: '2026-11-21T09:10:00Z' })),
    asks(3, pending('urgent', { urgent: true, expires_at: '2026-11-22T09:00:00Z' })),
  ]);
  assert.deepEqual(ids(waiting(state)), ['urgent', 'soon', 'late']);
});

test('what ended stands with the latest ending first', () => {
  const at = (time) => ({ outcome: { ...answered('x').outcome, at: time } });
  const state = feed([
    settles(1, answered('first', at('2026-11-21T09:01:00Z'))),
    settles(2, pending('expired', { status: 'expired', expires_at: '2026-11-21T09:03:00Z' })),
    settles(3, answered('second', at('2026-11-21T09:02:00Z'))),
  ]);
  assert.deepEqual(ids(ended(state)), ['expired', 'second', 'first']);
});

test('somebody else was first: the request leaves the waiting list with its outcome', () => {
  const before = feed([asks(1, pending('a')), asks(2, pending('b'))]);
  const after = reduce(before, settles(3, answered('a')));
  assert.deepEqual(ids(waiting(after)), ['b']);
  assert.equal(ended(after)[0].outcome.by.username, 'ben');
  assert.deepEqual(ids(news(before, after).over), ['a']);
  assert.deepEqual(news(before, after).came, []);
});

test('older news never brings an ended request back', () => {
  const over = feed([settles(5, answered('a'))]);
  const state = feed([asks(4, pending('a')), { type: 'page.requests', items: [pending('a')] }], over);
  assert.equal(state.requests.a.status, 'answered');
});

test('a cut in the middle of a burst: resuming loses nothing and repeats nothing', () => {
  const burst = Array.from({ length: 200 }, (_, i) =>
    i % 3 === 2 ? settles(i + 1, answered(`r${i - 1}`)) : asks(i + 1, pending(`r${i}`)),
  );
  const whole = feed([established('0'), ...burst]);
  for (const cut of [0, 1, 57, 199]) {
    const first = feed([established('0'), ...burst.slice(0, cut)]);
    const from = Number(first.cursor);
    // The hub goes on after the cursor; a hub that overlaps by some events does no harm.
    for (const overlap of [0, 5]) {
      const resumed = feed([established(first.cursor), ...burst.slice(Math.max(0, from - overlap))], first);
      assert.deepEqual(resumed.requests, whole.requests);
      assert.equal(resumed.cursor, '200');
      assert.deepEqual([...resumed.seen.keys()], [...whole.seen.keys()]);
    }
  }
});

test('a first connection learns its place, a resumed one keeps its own', () => {
  assert.equal(feed([established('7')]).cursor, '7');
  assert.equal(feed([asks(9, pending('a')), established('7')]).cursor, '9');
});

test('events of kinds that the page does not show still move the cursor', () => {
  assert.equal(feed([{ type: 'message', event_id: '12', text: 'hello' }]).cursor, '12');
});

test('an unknown cursor begins again and keeps what is known', () => {
  const state = feed([asks(1, pending('a')), { type: 'error', code: 'cursor', message: 'unknown' }]);
  assert.equal(state.cursor, null);
  assert.deepEqual(ids(waiting(state)), ['a']);
  // The hub begins anew, and may number anew.
  assert.deepEqual(ids(waiting(feed([established('0'), asks(1, pending('b'))], state))).sort(), ['a', 'b']);
});

test('other errors do not', () => {
  assert.equal(feed([asks(1, pending('a')), { type: 'error', code: 'late', message: '' }]).cursor, '1');
});

test('what a complete list of the pending ones does not name has ended unseen', () => {
  const state = feed([asks(1, pending('a')), asks(2, pending('b'))]);
  assert.deepEqual(ids(unnamed(waiting(state), [pending('b')])), ['a']);
});

test('a request that is asked of others is not in the inbox', () => {
  const state = feed([{ type: 'page.requests', items: [pending('theirs', { to: [BEN] })] }]);
  assert.deepEqual(waiting(state), []);
  assert.ok(state.requests.theirs);
});

test('another person begins with nothing of the one before', () => {
  const state = reduce(feed([asks(1, pending('a'))]), { type: 'page.signed_in', user: BEN });
  assert.deepEqual(state.requests, {});
  assert.equal(state.cursor, null);
  assert.deepEqual(reduce(state, { type: 'page.signed_out' }), empty());
});

test('signing in again as the same person keeps everything', () => {
  const state = feed([asks(1, pending('a'))]);
  assert.equal(reduce(state, { type: 'page.signed_in', user: ANA }).requests, state.requests);
});

test('the reducer changes nothing in place', () => {
  const state = feed([asks(1, pending('a'))]);
  const before = JSON.stringify({ ...state, seen: [...state.seen] });
  reduce(state, settles(2, answered('a')));
  reduce(state, { type: 'page.connection', phase: 'offline', since: 'x' });
  assert.equal(JSON.stringify({ ...state, seen: [...state.seen] }), before);
});

test('the store tells its listeners only of changes', () => {
  const store = createStore(signedIn());
  let told = 0;
  const stop = store.subscribe(() => (told += 1));
  store.send(asks(1, pending('a')));
  store.send(asks(1, pending('a')));
  stop();
  store.send(asks(2, pending('b')));
  assert.equal(told, 1);
});
