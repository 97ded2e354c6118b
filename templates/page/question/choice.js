// A choice: radio buttons, or checkboxes where several may be chosen.

import { h } from '../dom.js';
import { createErrors } from './field-error.js';

export function createChoice({ request, draft, onInput }) {
  const { options = [], multiple = false } = request;
  const chosen = new Set(Array.isArray(draft) ? draft : []);
  const errors = createErrors();
  const group = `choice-${request.id}`;

  const boxes = options.map(({ value, label }) => {
    const input = h('input', {
      type: multiple ? 'checkbox' : 'radio',
      name: group,
      value,
      checked: chosen.has(value),
      onchange: onInput,
    });
    return { value, input, row: h('label', { class: 'option' }, input, h('span', {}, label || value)) };
  });
  const list = h(
    'div',
    { class: options.length > 8 ? 'options many' : 'options' },
    boxes.map(({ row }) => row),
  );
  const legend = h('legend', {}, multiple ? 'Choose one or more' : 'Choose one');
  const element = h(
    'fieldset',
    { class: 'choice' },
    legend,
    list,
    errors.place('value', ...boxes.map(({ input }) => input)),
  );

  const picked = () => boxes.filter(({ input }) => input.checked).map(({ value }) => value);
  return {
    element,
    actions: [{ answer: 'submit', label: 'Send answer', class: 'primary' }],
    read() {
      const values = picked();
      if (values.length === 0)
        return { errors: [{ field: 'value', detail: multiple ? 'Choose at least one.' : 'Choose one.' }] };
      return { value: multiple ? values : values[0], errors: [] };
    },
    raw: () => (picked().length ? picked() : null),
    said: () =>
      boxes
        .filter(({ input }) => input.checked)
        .map(({ row }) => row.textContent)
        .join(', '),
    showErrors: (wrong) => errors.show(wrong),
  };
}
