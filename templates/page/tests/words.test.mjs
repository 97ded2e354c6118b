import assert from 'node:assert/strict';
import test from 'node:test';
import { asker, people } from '../asker.js';
import { sentence, tone, valueText } from '../ending.js';
import { ago, countdown } from '../time.js';
import { askLine, pasteLines } from '../views/paste-lines.js';
import { ANA, BEN, answered, pending } from './samples.mjs';

const from = Date.parse('2026-11-21T09:00:00Z');
const left = (seconds) => countdown(new Date(from + seconds * 1000).toISOString(), from);

test('the time that is left, in words', () => {
  assert.deepEqual(left(3 * 86400 + 7200), { text: '3 d 2 h left', tone: 'calm' });
  assert.equal(left(2 * 86400).text, '2 d left');
  assert.equal(left(3600 * 5 + 60 * 12).text, '5 h 12 min left');
  assert.equal(left(3600).text, '1 h left');
  assert.equal(left(1800).text, '30 min left');
  assert.deepEqual(left(581), { text: '9 min 41 s left', tone: 'soon' });
  assert.equal(left(60).text, '1 min 00 s left');
  assert.deepEqual(left(59), { text: '59 s left', tone: 'last' });
  assert.equal(left(0.2).text, '1 s left');
  assert.deepEqual(left(0), { text: 'time is up', tone: 'over' });
  assert.equal(countdown(null, from).text, '');
});

test('how long ago', () => {
  assert.equal(ago('2026-11-21T08:59:30Z', from), 'just now');
  assert.equal(ago('2026-11-21T08:52:30Z', from), '7 min ago');
});

test('an ending is told plainly', () => {
  const at = new Date(2026, 10, 21, 14, 2);
  const said = (request) => sentence(request, ANA, at.getTime());
  const outcome = (more) => ({ outcome: { ...answered('a').outcome, at: at.toISOString(), ...more } });
  assert.equal(said(answered('a', outcome())), 'Approved by ben on slack at 14:02');
  assert.equal(
    said(answered('a', outcome({ value: 'rejected', by: ANA, channel: 'web' }))),
    'Rejected by you on the web at 14:02',
  );
  assert.equal(
    said(answered('a', { kind: 'input', ...outcome({ value: 'x', channel: 'api' }) })),
    'Answered by ben over the API at 14:02',
  );
  assert.equal(said(pending('a', { status: 'cancelled' })), 'Cancelled by the asker');
  assert.equal(
    said(pending('a', { status: 'expired', expires_at: at.toISOString() })),
    'Expired without an answer at 14:02',
  );
  assert.equal(
    said(
      pending('a', {
        status: 'expired',
        ...outcome({ value: 'rejected', by: null, channel: null, source: 'on_expiry' }),
      }),
    ),
    'Expired without an answer at 14:02; rejected stands, as the asker had set for that case',
  );
  assert.equal(
    sentence(answered('a', outcome()), ANA, at.getTime() + 3 * 86400_000),
    'Approved by ben on slack on 21 Nov at 14:02',
  );
  assert.deepEqual(
    [
      answered('a'),
      answered('a', outcome({ value: 'rejected' })),
      pending('a', { status: 'expired' }),
      pending('a', { status: 'cancelled' }),
    ].map(tone),
    ['good', 'bad', 'late', 'neutral'],
  );
});

test('values are told by their labels', () => {
  const options = [
    { value: 'b', label: 'Blue' },
    { value: 'g', label: 'Green' },
  ];
  assert.equal(valueText({ options, outcome: { value: 'b' } }), 'Blue');
  assert.equal(valueText({ options, outcome: { value: ['b', 'g'] } }), 'Blue, Green');
  assert.equal(valueText({ outcome: { value: { a: 1 } } }), '{"a":1}');
});

test('who asks, and who is asked', () => {
  assert.deepEqual(asker(pending('a')), { name: 'bot', behind: 'ben' });
  assert.equal(asker({ asker: { ...BEN, token: null } }).name, 'ben');
  assert.equal(people([BEN, ANA], ANA), 'you and ben');
  assert.equal(
    people(
      ['a', 'b', 'c', 'd', 'e'].map((username) => ({ id: username, username })),
      ANA,
    ),
    'a, b, c and 2 more',
  );
});

test('lines to paste are safe in a shell', () => {
  assert.equal(askLine('ana'), 'hearback ask "Deploy 1.4.2?" --to ana --approval --timeout 10m');
  assert.match(askLine("o'neil x"), /--to 'o'\\''neil x' /);
  assert.equal(
    pasteLines({ base: 'https://hub.example.org/hearback/', token: 'hb_x', username: 'ana' }).split('\n')[0],
    'export HEARBACK_URL=https://hub.example.org/hearback',
  );
});
