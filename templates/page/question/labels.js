// What stands around a field: its id, whether it may stay empty, and its description.

import { h } from '../dom.js';

/** An id without spaces, which aria-describedby would read as several. */
export const idOf = (field, tools) => `${tools.id}-${encodeURIComponent(field.path)}`;
export const mark = (field) => (field.required ? null : h('span', { class: 'optional' }, ' (optional)'));
export const about = (field, id) =>
  field.description ? h('p', { class: 'hint', id: `${id}-about` }, field.description) : null;
export const described = (field, id) => (field.description ? `${id}-about` : null);
