// An input: one line or several, with the length counted as the hub counts it.

import { h } from '../dom.js';
import { createErrors } from './field-error.js';
import { fits, length, textErrors } from './text.js';

const ONE_LINE = 120;

export function createInput({ request, draft, onInput }) {
  const { min_length: min, max_length: max, pattern } = request;
  const errors = createErrors();
  const id = `input-${request.id}`;
  // No limit is a null, which counts as 0 in a comparison.
  const long = (max ?? Infinity) > ONE_LINE && !pattern;
  const box = h(long ? 'textarea' : 'input', {
    id,
    name: 'value',
    value: typeof draft === 'string' ? draft : '',
    autocomplete: 'off',
    rows: long ? 3 : null,
    type: long ? null : 'text',
    'aria-describedby': `${id}-hint`,
    oninput: changed,
  });
  const count = h('span', { class: 'count' });
  const hint = h(
    'p',
    { class: 'hint', id: `${id}-hint` },
    h('span', {}, limits(min, max), pattern ? [min || max ? '; ' : '', 'must match ', h('code', {}, pattern)] : null),
    count,
  );
  const element = h(
    'div',
    { class: 'field' },
    h('label', { for: id }, 'Your answer'),
    box,
    hint,
    errors.place('value', box),
  );

  function changed(event) {
    const size = length(box.value);
    count.textContent = max ? `${size} / ${max}` : size ? String(size) : '';
    const short = size > 0 && size < (min ?? 0);
    count.dataset.wrong = String(
      short || size > (max ?? Infinity) || (size > 0 && pattern ? fits(pattern, box.value) === false : false),
    );
    if (event) {
      errors.clear();
      onInput();
    }
  }
  changed();

  return {
    element,
    actions: [{ answer: 'submit', label: 'Send answer', class: 'primary' }],
    read() {
      const wrong =
        box.value === '' && min !== 0 ? 'Write your answer first.' : textErrors(box.value, { min, max, pattern });
      return wrong ? { errors: [{ field: 'value', detail: wrong }] } : { value: box.value, errors: [] };
    },
    raw: () => box.value || null,
    said: () => box.value,
    showErrors: (wrong) => errors.show(wrong),
  };
}

function limits(min, max) {
  if (min && max) return `${min} to ${max} characters`;
  if (min) return `At least ${min} characters`;
  return max ? `At most ${max} characters` : '';
}
