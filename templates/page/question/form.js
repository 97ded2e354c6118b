// A form: fields drawn from the request's JSON Schema, and the object that they make.

import { h } from '../dom.js';
import { blank } from '../drafts.js';
import { createErrors } from './field-error.js';
import { drawField } from './fields.js';
import { describe } from './schema.js';
import { build, initial, summary } from './values.js';

export function createForm({ request, draft, onInput }) {
  const form = describe(request.schema);
  const start = initial(form);
  const errors = createErrors();
  const root = drawField(form, draft ?? start, { errors, onInput, id: `form-${request.id}` });
  const whole = errors.place('value');
  const element = h('div', { class: 'form' }, root.element, form.kind === 'object' ? whole : null);

  return {
    element,
    actions: [{ answer: 'submit', label: 'Send answer', class: 'primary' }],
    read: () => build(form, root.raw()),
    /** What was typed; nothing while it is what the schema itself proposes. */
    raw() {
      const raw = root.raw();
      return blank(raw) || JSON.stringify(raw) === JSON.stringify(start) ? null : raw;
    },
    said: () => summary(form, root.raw()).join('\n'),
    showErrors: (wrong) => errors.show(wrong),
  };
}
