// Draws one field of a form by its kind (see schema.js). Every field gives its element and raw(): what stands in it.

import { h } from '../dom.js';
import { about, described, idOf, mark } from './labels.js';
import { texts } from './list-field.js';

/** tools: {errors, onInput, id}. Ids are made of the field's path, so that they are unique on the page. */
export function drawField(field, raw, tools) {
  switch (field.kind) {
    case 'object':
      return group(field, raw, tools);
    case 'boolean':
      return tick(field, raw, tools);
    case 'const':
      return fixed(field);
    case 'select':
      return select(field, raw, tools);
    case 'checks':
      return checks(field, raw, tools);
    case 'list':
      return texts(field, raw, tools);
    default:
      return line(field, raw, tools);
  }
}

function group(field, raw, tools) {
  const parts = field.fields.map((each) => ({ name: each.name, ...drawField(each, raw?.[each.name], tools) }));
  const read = () => Object.fromEntries(parts.map((part) => [part.name, part.raw()]));
  const title = field.name === '' && !field.title ? null : h('legend', {}, field.title, mark(field));
  const id = idOf(field, tools);
  const own = field.name === '' ? null : tools.errors.place(field.path);
  return {
    element: h(
      'fieldset',
      { class: field.name === '' ? 'group root' : 'group' },
      title,
      about(field, id),
      parts.map(({ element }) => element),
      own,
    ),
    raw: read,
  };
}

const INPUTS = { email: 'email', date: 'date', datetime: 'datetime-local' };
const MODES = { number: 'decimal', integer: 'numeric' };

function line(field, raw, tools) {
  const id = idOf(field, tools);
  const long = field.kind === 'longtext' || field.kind === 'json';
  const box = h(long ? 'textarea' : 'input', {
    id,
    name: field.path,
    value: typeof raw === 'string' ? raw : '',
    type: long ? null : (INPUTS[field.kind] ?? 'text'),
    rows: long ? 4 : null,
    inputmode: MODES[field.kind],
    autocomplete: 'off',
    spellcheck: field.kind === 'json' ? 'false' : null,
    class: field.kind === 'json' ? 'code' : null,
    'aria-required': field.required ? 'true' : null,
    'aria-describedby': described(field, id),
    oninput: tools.onInput,
  });
  const note = field.kind === 'json' ? h('p', { class: 'hint' }, 'Written as JSON.', schemaOf(field)) : null;
  return {
    element: h(
      'div',
      { class: 'field', data: { kind: field.kind } },
      h('label', { for: id }, field.title || 'Answer', mark(field)),
      about(field, id),
      box,
      note,
      tools.errors.place(field.path, box),
    ),
    raw: () => box.value,
  };
}

const schemaOf = (field) =>
  Object.keys(field.schema).length
    ? h('details', {}, h('summary', {}, 'What it must look like'), h('pre', {}, JSON.stringify(field.schema, null, 2)))
    : null;

function tick(field, raw, tools) {
  const id = idOf(field, tools);
  const box = h('input', {
    id,
    type: 'checkbox',
    name: field.path,
    checked: raw === true,
    'aria-describedby': described(field, id),
    'aria-required': field.mustBe && field.required ? 'true' : null,
    onchange: tools.onInput,
  });
  return {
    element: h(
      'div',
      { class: 'field', data: { kind: 'boolean' } },
      h('label', { class: 'option' }, box, h('span', {}, field.title)),
      about(field, id),
      tools.errors.place(field.path, box),
    ),
    raw: () => box.checked,
  };
}

function fixed(field) {
  const shown = typeof field.value === 'string' ? field.value : JSON.stringify(field.value);
  return {
    element: h(
      'div',
      { class: 'field fixed', data: { kind: 'const' } },
      h('span', { class: 'label' }, field.title),
      h('output', {}, shown),
      about(field, field.path),
    ),
    raw: () => null,
  };
}

const label = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

function select(field, raw, tools) {
  const id = idOf(field, tools);
  const options = field.options.map((value, at) => h('option', { value: String(at) }, label(value)));
  const box = h(
    'select',
    {
      id,
      name: field.path,
      'aria-required': field.required ? 'true' : null,
      'aria-describedby': described(field, id),
      onchange: tools.onInput,
    },
    h('option', { value: '' }, field.required ? 'Choose…' : 'No answer'),
    options,
  );
  box.value = raw ?? '';
  return {
    element: h(
      'div',
      { class: 'field', data: { kind: 'select' } },
      h('label', { for: id }, field.title, mark(field)),
      about(field, id),
      box,
      tools.errors.place(field.path, box),
    ),
    raw: () => box.value,
  };
}

function checks(field, raw, tools) {
  const chosen = new Set(Array.isArray(raw) ? raw : []);
  const boxes = field.options.map((value, at) => ({
    at: String(at),
    text: label(value),
    input: h('input', {
      type: 'checkbox',
      name: field.path,
      value: String(at),
      checked: chosen.has(String(at)),
      onchange: tools.onInput,
    }),
  }));
  const rows = boxes.map(({ input, text }) => h('label', { class: 'option' }, input, h('span', {}, text)));
  return {
    element: h(
      'fieldset',
      { class: 'field', data: { kind: 'checks' } },
      h('legend', {}, field.title, mark(field)),
      about(field, idOf(field, tools)),
      h('div', { class: 'options' }, rows),
      tools.errors.place(field.path, ...boxes.map(({ input }) => input)),
    ),
    raw: () => boxes.filter(({ input }) => input.checked).map(({ at }) => at),
  };
}
