import assert from 'node:assert/strict';
import test from 'node:test';
import { describe } from '../question/schema.js';
import { fits, length, textErrors } from '../question/text.js';
import { build, initial, summary } from '../question/values.js';

const object = (properties, required = [], more = {}) => ({ type: 'object', properties, required, ...more });
const kinds = (schema) => Object.fromEntries(describe(schema).fields.map((field) => [field.name, field.kind]));
const make = (schema, raw) => {
  const form = describe(schema);
  return build(form, { ...initial(form), ...raw });
};
const fields = (result) => result.errors.map((error) => error.field);

test('each kind of property gets its own kind of field', () => {
  assert.deepEqual(
    kinds(
      object({
        text: { type: 'string' },
        long: { type: 'string', maxLength: 500 },
        area: { type: 'string', format: 'textarea' },
        mail: { type: 'string', format: 'email' },
        day: { type: 'string', format: 'date' },
        at: { type: 'string', format: 'date-time' },
        real: { type: 'number' },
        whole: { type: 'integer' },
        yes: { type: 'boolean' },
        one: { enum: ['a', 2, null] },
        fixed: { const: 7 },
        agreed: { const: true },
        some: { type: 'array', items: { enum: ['a', 'b'] } },
        tags: { type: 'array', items: { type: 'string' } },
        inner: object({ x: { type: 'string' } }),
        maybe: { type: ['string', 'null'] },
      }),
    ),
    {
      text: 'text',
      long: 'longtext',
      area: 'longtext',
      mail: 'email',
      day: 'date',
      at: 'datetime',
      real: 'number',
      whole: 'integer',
      yes: 'boolean',
      one: 'select',
      fixed: 'const',
      agreed: 'boolean',
      some: 'checks',
      tags: 'list',
      inner: 'object',
      maybe: 'text',
    },
  );
});

test('what cannot be shown becomes JSON, for that property alone', () => {
  assert.deepEqual(
    kinds(
      object(
        {
          either: { oneOf: [{ type: 'string' }, { type: 'number' }] },
          both: { type: ['string', 'number'] },
          any: true,
          none: {},
          pairs: { type: 'array', items: object({ a: { type: 'string' } }) },
          map: { type: 'object', additionalProperties: { type: 'string' } },
          remote: { $ref: 'https://example.org/x' },
          broken: { $ref: '#/$defs/nothing' },
          fine: { type: 'string' },
        },
        ['undescribed'],
      ),
    ),
    {
      either: 'json',
      both: 'json',
      any: 'json',
      none: 'json',
      pairs: 'json',
      map: 'json',
      remote: 'json',
      broken: 'json',
      fine: 'text',
      undescribed: 'json',
    },
  );
  assert.equal(describe({ type: 'array' }).kind, 'json');
  assert.equal(describe(undefined).kind, 'json');
});

test('local references are followed, and circles end', () => {
  const schema = {
    ...object({
      a: { $ref: '#/$defs/name', title: 'A name' },
      tree: { $ref: '#/$defs/tree' },
      loop: { $ref: '#/$defs/loop' },
    }),
    $defs: {
      name: { type: 'string', maxLength: 3 },
      tree: object({ next: { $ref: '#/$defs/tree' } }),
      loop: { $ref: '#/$defs/loop' },
    },
  };
  const form = describe(schema);
  assert.deepEqual([form.fields[0].title, form.fields[0].maxLength], ['A name', 3]);
  assert.equal(form.fields[1].kind, 'object');
  assert.equal(form.fields[2].kind, 'json');
});

test('values have the types that the schema asks for', () => {
  const schema = object(
    {
      n: { type: 'number' },
      i: { type: 'integer' },
      s: { type: 'string' },
      b: { type: 'boolean' },
      e: { enum: ['x', 2] },
      c: { const: 'k' },
      l: { type: 'array', items: { type: 'string' } },
      m: { type: 'array', items: { enum: [1, 2, 3] } },
      j: {},
      o: object({ d: { type: 'string', format: 'date' } }, ['d']),
    },
    ['o'],
  );
  assert.deepEqual(
    make(schema, {
      n: '1.5',
      i: '-3',
      s: 'hi',
      b: true,
      e: '1',
      l: ['a', '', 'b'],
      m: ['0', '2'],
      j: '{"deep":[1]}',
      o: { d: '2026-11-21' },
    }),
    {
      value: {
        n: 1.5,
        i: -3,
        s: 'hi',
        b: true,
        e: 2,
        c: 'k',
        l: ['a', 'b'],
        m: [1, 3],
        j: { deep: [1] },
        o: { d: '2026-11-21' },
      },
      errors: [],
    },
  );
});

test('what is empty and optional is left out; what is empty and needed is told at its field', () => {
  const schema = object({ a: { type: 'string' }, b: { type: 'integer' }, c: { enum: [1] }, f: { type: 'boolean' } }, [
    'a',
    'c',
  ]);
  assert.deepEqual(fields(make(schema, {})), ['value.a', 'value.c']);
  assert.deepEqual(make(schema, { a: 'x', c: '0' }).value, { a: 'x', c: 1, f: false });
});

test('an optional group that nobody touched is left out; a touched one is checked', () => {
  const schema = object({ g: object({ need: { type: 'string' }, flag: { type: 'boolean' } }, ['need']) });
  assert.deepEqual(make(schema, {}).value, {});
  assert.deepEqual(fields(make(schema, { g: { need: '', flag: true } })), ['value.g.need']);
});

test('defaults stand in the fields and come back as they are', () => {
  const schema = object({
    n: { type: 'integer', default: 30 },
    b: { type: 'boolean', default: true },
    e: { enum: ['x', 'y'], default: 'y' },
    l: { type: 'array', items: { type: 'string' }, default: ['a'] },
    m: { type: 'array', items: { enum: ['p', 'q'] }, default: ['q'] },
    t: { type: 'string', format: 'date-time', default: '2026-11-21T12:00:00Z' },
    o: object({ x: { type: 'string' } }, [], { default: { x: 'in' } }),
  });
  assert.deepEqual(make(schema, {}).value, {
    n: 30,
    b: true,
    e: 'y',
    l: ['a'],
    m: ['q'],
    t: '2026-11-21T12:00:00Z',
    o: { x: 'in' },
  });
});

test('limits are told at the field', () => {
  const wrong = (property, raw) =>
    make(object({ p: property }, ['p']), { p: raw }).errors.map((error) => `${error.field}: ${error.detail}`)[0];
  assert.match(wrong({ type: 'integer' }, '1.5'), /^value\.p: Write a whole number/);
  assert.match(wrong({ type: 'number' }, 'abc'), /number/);
  assert.match(wrong({ type: 'number', minimum: 5 }, '4'), /At least 5/);
  assert.match(wrong({ type: 'number', exclusiveMaximum: 5 }, '5'), /Less than 5/);
  assert.match(wrong({ type: 'number', multipleOf: 0.1 }, '0.25'), /steps of 0\.1/);
  assert.equal(wrong({ type: 'number', multipleOf: 0.1 }, '0.3'), undefined);
  assert.match(wrong({ type: 'integer' }, '9007199254740993'), /too large/);
  assert.match(wrong({ type: 'string', minLength: 3 }, 'ab'), /At least 3 characters; this has 2/);
  assert.match(wrong({ type: 'string', format: 'email' }, 'ana'), /e-mail/);
  assert.match(
    wrong({ type: 'array', items: { type: 'string', maxLength: 2 } }, ['ok', 'long']),
    /^value\.p\[1\]: At most 2/,
  );
  assert.match(wrong({ type: 'array', items: { type: 'string' }, minItems: 2 }, ['a']), /At least 2 needed/);
  assert.match(wrong({ type: 'array', items: { type: 'string' }, uniqueItems: true }, ['a', 'a']), /only once/);
  assert.match(wrong({ const: true }, false), /Tick this/);
  assert.match(wrong({}, '{nope'), /valid JSON/);
});

test('a needed value that may be null is null when it is left empty', () => {
  assert.deepEqual(make(object({ p: { type: ['string', 'null'] } }, ['p']), {}).value, { p: null });
});

test('awkward names make no trouble', () => {
  const schema = JSON.parse(
    '{"type":"object","properties":{"__proto__":{"type":"string"},"toString":{"type":"string"}}}',
  );
  const form = describe(schema);
  assert.doesNotThrow(() => initial(form));
  const raw = JSON.parse('{"__proto__":"a","toString":"b"}');
  assert.equal(JSON.stringify(build(form, raw).value), '{"__proto__":"a","toString":"b"}');
  assert.equal({}.polluted, undefined);
});

test('a summary reads like the form', () => {
  const form = describe(
    object({
      when: { enum: ['tonight', 'later'], title: 'When' },
      tell: { type: 'boolean' },
      tags: { type: 'array', items: { type: 'string' } },
    }),
  );
  assert.deepEqual(summary(form, { when: '1', tell: true, tags: ['a', ''] }), ['When: later', 'Tell: yes', 'Tags: a']);
});

test('lengths are Unicode scalar values', () => {
  assert.equal(length('a😀é'), 3);
  assert.equal(textErrors('😀😀', { max: 2 }), null);
});

test('patterns that the browser may read otherwise than the hub are left to the hub', () => {
  assert.equal(fits('^v[0-9]+$', 'v12'), true);
  assert.equal(fits('^v[0-9]+$', 'x'), false);
  assert.equal(fits('^\\w+$', 'abc'), true);
  assert.equal(fits('^\\w+$', 'müde'), null);
  assert.equal(fits('(?i)abc', 'ABC'), null);
  assert.equal(fits('[[:alpha:]]', 'x'), null);
  assert.equal(fits('(', 'x'), null);
});
