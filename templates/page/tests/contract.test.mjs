// The examples in docs/contract are what the hub says and reads; the page is held to the same files.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { Problem } from '../api.js';
import { sentence } from '../ending.js';
import { ack, bodies, decode, ping } from '../protocol.js';
import { describe } from '../question/schema.js';
import { build, initial } from '../question/values.js';
import { empty, reduce } from '../state.js';

const contract = new URL('../../../docs/contract/', import.meta.url);

function examples(folder) {
  const place = new URL(`${folder}/`, contract);
  const names = existsSync(place) ? readdirSync(place).filter((name) => name.endsWith('.json')) : [];
  assert.ok(names.length > 0, `docs/contract/${folder} holds no example`);
  return names
    .map((name) => ({ name, text: readFileSync(new URL(name, place), 'utf8') }))
    .map((each) => ({ ...each, json: JSON.parse(each.text) }));
}
const example = (folder, name) => {
  const found = examples(folder).find((each) => each.name === name);
  assert.ok(found, `docs/contract/${folder}/${name} is missing`);
  return found.json;
};
const keys = (value) => Object.keys(value).sort();

test('every message from the hub is understood', () => {
  for (const { name, text, json } of examples('socket/hub')) {
    const message = decode(text);
    assert.ok(message, `socket/hub/${name} is not understood`);
    assert.equal(message.type, name.replace('.json', ''));
    const state = reduce(empty(), message);
    if (json.event_id) assert.equal(state.cursor, json.event_id, `socket/hub/${name} does not move the cursor`);
    if (json.request) assert.deepEqual(state.requests[json.request.id], json.request);
  }
});

test('the page says what the hub reads', () => {
  assert.ok(examples('socket/client').length);
  for (const message of [ack('17'), ping()])
    assert.deepEqual(keys(message), keys(example('socket/client', `${message.type}.json`)));
});

test('bodies that the page sends have the keys of the examples', () => {
  assert.deepEqual(
    keys(bodies.register(example('bodies', 'auth.register.json'))),
    keys(example('bodies', 'auth.register.json')),
  );
  const responses = examples('bodies').filter(({ name }) => name.startsWith('response.create.'));
  assert.ok(responses.length >= 4);
  for (const { name, json } of responses) assert.deepEqual(bodies.response(json), json, name);
  // The page leaves scopes and expiry to the hub's defaults.
  const token = example('bodies', 'token.create.json');
  for (const key of keys(bodies.token(token))) assert.ok(key in token);
});

test('requests as they are read can be told and drawn', () => {
  const read = examples('bodies').filter(({ name }) => name.startsWith('feedback.read.'));
  assert.ok(read.length > 0);
  for (const { name, json } of read) {
    assert.ok(reduce(empty(), { type: 'page.requests', items: [json] }).requests[json.id], name);
    if (json.status !== 'pending')
      assert.match(sentence(json, null), /^(Approved|Rejected|Answered|Expired|Cancelled) /, name);
  }
  assert.ok(example('bodies', 'response.accepted.json').feedback.status);
  for (const key of ['token', 'webhook_secret', 'name', 'id'])
    assert.ok(key in example('bodies', 'token.created.json'));
  for (const key of ['registration', 'first_account', 'docs']) assert.ok(key in example('bodies', 'root.json'));
  for (const name of ['feedback.list.json', 'token.list.json'])
    assert.deepEqual(keys(example('bodies', name)), ['items', 'next_cursor']);
});

test('the example form is drawn whole, and its example answer comes out of it', () => {
  const form = describe(example('bodies', 'feedback.read.form.cancelled.json').schema);
  assert.ok(form.fields.every((field) => field.kind !== 'json'));
  const { value } = example('bodies', 'response.create.form.json');
  assert.deepEqual(build(form, initial(form, value)), { value, errors: [] });
});

test('every problem is read', () => {
  for (const { name, json } of examples('problems')) {
    const problem = new Problem(json);
    assert.equal(problem.kind, name.replace('.json', ''));
    assert.equal(problem.message, json.detail, name);
    assert.ok(!problem.offline);
  }
  for (const name of ['late.json', 'cancelled.json', 'expired.json'])
    assert.ok(new Problem(example('problems', name)).feedback.id);
});
