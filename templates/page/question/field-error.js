// Errors at their field: each field with a message of its own registers here under its path.

import { fill, h, icon } from '../dom.js';

export function createErrors() {
  const places = new Map();

  return {
    /** A place for the messages of `path`; `inputs` are marked invalid and described by it. */
    place(path, ...inputs) {
      const id = `e${Math.random().toString(36).slice(2)}`;
      const element = h('p', { class: 'field-error', id, hidden: true, data: { errorFor: path } });
      for (const input of inputs) {
        const others = input.getAttribute('aria-describedby');
        input.setAttribute('aria-describedby', others ? `${others} ${id}` : id);
      }
      places.set(path, { element, inputs });
      return element;
    },
    /** Shows each error at its own field or the nearest one around it; gives back those that have no place here. */
    show(errors) {
      this.clear();
      const homeless = [];
      let first = null;
      for (const error of errors) {
        const place = nearest(places, error.field);
        if (!place) {
          homeless.push(error);
          continue;
        }
        const more = place.element.textContent ? [place.element.textContent, ' '] : [];
        fill(place.element, icon('alert'), h('span', {}, ...more, wording(error)));
        place.element.hidden = false;
        for (const input of place.inputs) input.setAttribute('aria-invalid', 'true');
        first ??= place.inputs[0];
      }
      first?.focus();
      return homeless;
    },
    clear() {
      for (const { element, inputs } of places.values()) {
        element.hidden = true;
        fill(element);
        for (const input of inputs) input.removeAttribute('aria-invalid');
      }
    },
  };
}

/** What is wrong, with the allowed values where the hub lists them. */
export const wording = ({ detail, allowed }) =>
  allowed?.length ? `${detail} (allowed: ${allowed.join(', ')})` : detail;

/** `value.items[0].name` belongs to itself, else to `value.items[0]`, `value.items` or `value`. */
function nearest(places, field = '') {
  for (let path = field; path; path = path.replace(/(\.[^.[\]]*|\[[^\]]*\]|^[^.[\]]+)$/, '')) {
    if (places.has(path)) return places.get(path);
    if (!/[.[]/.test(path)) return null;
  }
  return null;
}
