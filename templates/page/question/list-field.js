// A list of texts: a row for each, with buttons to add and remove.

import { h } from '../dom.js';
import { about, idOf, mark } from './labels.js';

export function texts(field, raw, tools) {
  const rows = h('div', { class: 'rows' });
  const values = Array.isArray(raw) && raw.length ? raw : [''];
  const inputs = () => [...rows.querySelectorAll('input, textarea')];
  const add = (text) => {
    const box = h(field.item.kind === 'longtext' ? 'textarea' : 'input', {
      value: text,
      name: field.path,
      'aria-label': field.title,
      type: field.item.kind === 'email' ? 'email' : field.item.kind === 'longtext' ? null : 'text',
      autocomplete: 'off',
      oninput: tools.onInput,
    });
    const drop = h(
      'button',
      { type: 'button', class: 'quiet small', 'aria-label': `Remove this entry of ${field.title}`, onclick: remove },
      'Remove',
    );
    const row = h('div', { class: 'row' }, box, drop);
    function remove() {
      if (inputs().length > 1) row.remove();
      else box.value = '';
      (inputs().at(-1) ?? more).focus();
      tools.onInput();
    }
    rows.append(row);
    return box;
  };
  const more = h('button', { type: 'button', class: 'quiet small', onclick: () => add('').focus() }, 'Add another');
  values.forEach(add);
  return {
    element: h(
      'fieldset',
      { class: 'field', data: { kind: 'list' } },
      h('legend', {}, field.title, mark(field)),
      about(field, idOf(field, tools)),
      rows,
      more,
      tools.errors.place(field.path),
    ),
    raw: () => inputs().map((input) => input.value),
  };
}
