// The timeline of the examples in docs/contract, and of what they do not show.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { timeline } from '../timeline/entries.js';
import { lengthy, notes, valueLines } from '../timeline/words.js';
import { ANA, BEN, answered, pending } from './samples.mjs';

const example = (name) =>
  JSON.parse(readFileSync(new URL(`../../../docs/contract/bodies/${name}.json`, import.meta.url), 'utf8'));
const from = Date.parse('2026-11-21T09:45:00Z');
const tell = (request, parts = {}, me = null) => timeline(request, parts, me, from);
const heads = (entries) => entries.map(({ title, badge }) => (badge ? `${title} [${badge}]` : title));
const lines = ({ lines }) => lines.map(({ label, text }) => `${label}: ${text}`);
const titled = (entries, part) => entries.find(({ title }) => title.includes(part));
const delivery = (more) => ({
  id: 'd',
  user_id: BEN.id,
  channel: 'slack',
  address: 'T1:U2',
  status: 'sent',
  attempts: [],
  next_attempt_at: null,
  ...more,
});
const told = (more, me = ANA) => tell(pending('a'), { deliveries: [delivery(more)] }, me);
const attempt = (number, at, error = null) => ({ number, at, error });

test('the deliveries of the contract, between the question and its ending', () => {
  const { feedback, response } = example('response.accepted');
  const ana = feedback.to[0];
  const entries = tell(feedback, { deliveries: example('delivery.list').items, responses: [response] }, ana);
  assert.deepEqual(heads(entries).slice(0, -1), [
    'Asked by deploy-bot (your token), of you and ben',
    'Delivery to you over websocket [Delivered]',
    'Delivery to ben over websocket [Skipped]',
    'Attempt 1 to reach you over websocket [No error]',
    'Attempt 1 to reach ben over websocket [Error]',
    'Response from you on the web [Accepted]',
  ]);
  assert.match(entries.at(-1).title, /^Approved by you on the web (at|on) /);
  assert.equal(entries.at(-1).badge, 'Answered');
  assert.deepEqual(lines(entries[1]), ['Status: It reached your device.']);
  assert.deepEqual(lines(entries[2]), ['Status: Sent as soon as ben connects.', 'Reason: not connected']);
  assert.deepEqual(lines(entries[4]), ['Error: not connected']);
  assert.deepEqual(lines(entries[5]), ['Value: approved', 'Comment: Staging looked good to me, too.']);
  const times = entries.map(({ at }) => Date.parse(at));
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
  assert.equal(new Set(entries.map(({ key }) => key)).size, entries.length);
});

test('every verdict of the contract, with its reason; what was late stands after the ending', () => {
  const entries = tell(example('feedback.read.choice.answered'), { responses: example('response.list').items });
  assert.deepEqual(
    heads(entries).filter((head) => head.startsWith('Response')),
    [
      'Response from ana on the web [Invalid]',
      'Response from carl over the API [Refused]',
      'Response from ana on the web [Accepted]',
      'Response from ben on websocket [Late]',
    ],
  );
  assert.deepEqual(
    entries.map(({ kind }) => kind),
    ['asked', 'response', 'response', 'response', 'ending', 'response'],
  );
  const [, invalid, refused, accepted, ending, late] = entries.map(lines);
  const wrong = 'Reason: value: not one of the allowed values (allowed: blue, green, none)';
  assert.deepEqual(invalid, ['Value: red', wrong]);
  assert.deepEqual(refused, ['Value: Green (Dublin)', 'Comment: I would take Dublin.', 'Reason: you are not asked']);
  assert.deepEqual(accepted, ['Value: Blue (Frankfurt)', 'Comment: Green is still being patched.']);
  assert.deepEqual(ending, ['Outcome: Blue (Frankfurt)']);
  assert.match(late[1], /^Reason: ana already answered on web/);
});

test('other endings of the contract', () => {
  const expired = tell(example('feedback.read.input.expired')).at(-1);
  assert.match(expired.title, /^Expired without an answer .*; v1\.4\.1 stands, as the asker had set for that case$/);
  assert.equal(expired.badge, 'Expired, on_expiry applied');
  assert.deepEqual(lines(expired), [
    'Outcome: v1.4.1',
    'Source: on_expiry: what the asker had set for the case that nobody answers',
  ]);
  const cancelled = tell(example('feedback.read.form.cancelled')).at(-1);
  assert.match(cancelled.title, /^Cancelled by the asker /);
  assert.equal(cancelled.badge, 'Cancelled');
  assert.equal(tell(pending('a', { status: 'expired' })).at(-1).badge, 'Expired');
});

test('a pending request ends with what is planned', () => {
  assert.deepEqual(
    tell(example('feedback.read.approval.pending')).map(({ kind }) => kind),
    ['asked'],
  );
  const attempts = [attempt(1, '2026-11-21T09:01:00Z', 'unavailable')];
  const entries = told({ status: 'queued', attempts, next_attempt_at: '2026-11-21T09:50:00Z' });
  assert.equal(entries.at(-1).kind, 'next');
  assert.deepEqual(heads(entries).at(-1), 'Next attempt to reach ben over slack [Planned]');
  // What is due stands at the end all the same: it has not happened.
  const due = { deliveries: [delivery({ status: 'queued', next_attempt_at: '2026-11-21T09:00:00.5Z' })] };
  const response = { ...example('response.list').items[0], at: '2026-11-21T09:30:00Z' };
  const last = tell(pending('a'), { ...due, responses: [response] }).at(-1);
  assert.deepEqual(heads([last]), ['First attempt to reach ben over slack [Due now]']);
});

test('a delivery tells its address, its state and why it stands so', () => {
  const skipped = titled(told({ status: 'skipped', reason: 'not connected' }), 'Delivery');
  assert.deepEqual(lines(skipped), ['Address: T1:U2', 'Status: Sent as soon as ben connects.', 'Reason: not connected']);
  assert.equal(skipped.tone, 'late');
  const badges = ['queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'unknown', 'settled'].map((status) => {
    const { badge, lines } = titled(told({ status }), 'Delivery');
    assert.ok(lines.some(({ label }) => label === 'Status'));
    return badge.toLowerCase();
  });
  assert.deepEqual(badges, ['queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'unknown', 'settled']);
  assert.deepEqual(lines(titled(told({ address: BEN.id, status: 'read' }, BEN), 'to you')), ['Status: You saw it.']);
  assert.deepEqual(lines(titled(told({ address: ANA.id, status: 'newer_state' }), 'Delivery')), []);
  assert.equal(titled(told({ status: 'constructor' }), 'Delivery').badge, 'Constructor');
  assert.equal(titled(told({ user_id: 'gone' }), 'Delivery').title, 'Delivery to somebody over slack');
});

test('attempts: an error, one under way, none known', () => {
  const attempts = [attempt(1, '2026-11-21T09:01:00Z', 'timed out'), attempt(2, '2026-11-21T09:02:00Z')];
  const badges = (status) =>
    told({ status, attempts })
      .filter(({ kind }) => kind === 'attempt')
      .map(({ badge }) => badge);
  assert.deepEqual(badges('sending'), ['Error', 'Under way']);
  assert.deepEqual(badges('sent'), ['Error', 'No error']);
});

test('a delivery stands where it began: by its id, within what is known', () => {
  const id = (millis) => {
    const hex = millis.toString(16).padStart(12, '0');
    return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
  };
  const at = (id, attempts = []) => titled(told({ id, attempts }), 'Delivery').at;
  const first = [attempt(1, '2026-11-21T09:10:00Z')];
  const began = Date.parse('2026-11-21T09:05:00.123Z');
  assert.equal(at(id(began), first), '2026-11-21T09:05:00.123Z');
  assert.equal(at(id(began + 3600_000), first), first[0].at);
  assert.equal(at(id(began - 3600_000), first), '2026-11-21T09:00:00Z');
  assert.equal(at('not-a-uuid', first), first[0].at);
  assert.equal(at('not-a-uuid'), '2026-11-21T09:00:00Z');
});

test('microseconds keep the order, and what has no time comes last', () => {
  const { items } = example('response.list');
  const responses = [
    { ...items[0], id: 'second', at: '2026-11-21T09:10:00.000002Z' },
    { ...items[0], id: 'first', at: '2026-11-21T09:10:00.000001Z' },
  ];
  assert.deepEqual(
    tell(pending('a', { status: 'cancelled' }), { responses }).map(({ key }) => key),
    ['asked', 'response first', 'response second', 'ending'],
  );
});

test('nothing of the input is changed, and the order in which it comes does not matter', () => {
  const { feedback, response } = example('response.accepted');
  const parts = { deliveries: example('delivery.list').items, responses: [response] };
  const before = JSON.stringify([feedback, parts]);
  const entries = tell(feedback, parts);
  assert.equal(JSON.stringify([feedback, parts]), before);
  const turned = { ...parts, deliveries: parts.deliveries.toReversed() };
  assert.deepEqual(tell(feedback, turned), entries);
});

test('who asked and who answered', () => {
  const by = (asker) => tell(pending('a', { asker }), {}, ANA)[0].title;
  assert.equal(by({ ...ANA, token: null }), 'Asked by you, of you and ben');
  assert.equal(by({ ...BEN, token: null }), 'Asked by ben, of you and ben');
  assert.equal(by({ ...BEN, token: 'bot' }), 'Asked by bot (ben’s token), of you and ben');
  const stranger = { ...example('response.list').items[0], by: null, channel: 'slack' };
  const entry = tell(answered('a'), { responses: [stranger] }).find(({ kind }) => kind === 'response');
  assert.equal(entry.title, 'Response from somebody without an account on slack');
});

test('values in lines of text', () => {
  const { value } = example('response.create.form');
  const { schema } = example('feedback.read.form.cancelled');
  const said = (request, value) => valueLines(request, value).map(({ label, text }) => `${label}: ${text}`);
  assert.deepEqual(said({ schema }, value), [
    'When: weekend',
    'Minutes of downtime: 45',
    'Tell the customers: yes',
    'Who watches it: ben@example.org',
    'Notes: Not before 22:00.',
  ]);
  assert.deepEqual(said({ options: [{ value: 'b', label: 'Blue' }, { value: 'g' }] }, ['b', 'g']), ['Value: Blue, g']);
  assert.deepEqual(said({}, { deep: { er: [1] } })[0].split('\n').length, 5);
  assert.deepEqual(
    ['', null, 7, [], {}, '<b>x</b>'].flatMap((value) => said({}, value)),
    ['Value: (empty)', 'Value: null', 'Value: 7', 'Value: []', 'Value: {}', 'Value: <b>x</b>'],
  );
  assert.equal(lengthy('🦅'.repeat(2000)), '🦅'.repeat(2000));
  assert.match(lengthy('🦅'.repeat(2003)), /🦅… \(3 more characters\)$/u);
});

test('what is missing is said: calmly where it is not shown, as a fault where it failed', () => {
  const list = (more) => ({ items: [], more: false, problem: null, ...more });
  assert.deepEqual(notes({ deliveries: list(), responses: list() }), []);
  assert.deepEqual(
    notes({
      deliveries: list({ problem: { status: 403, message: 'No.' } }),
      responses: list({ problem: { status: 0, message: 'No answer came.' } }),
    }),
    [
      { calm: true, text: 'Its deliveries are not shown to you.' },
      { calm: false, text: 'Its responses could not be loaded. No answer came.' },
    ],
  );
  assert.deepEqual(notes({ responses: list({ items: Array(500), more: true }) }), [
    { calm: true, text: 'Only the first 500 responses are shown. The API lists them all.' },
  ]);
});
