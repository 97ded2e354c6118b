// Builds elements. Text always goes in as text nodes, so nothing that an agent wrote becomes markup here.

const AS_PROPERTY = new Set([
  'value',
  'checked',
  'disabled',
  'hidden',
  'required',
  'readOnly',
  'textContent',
  'tabIndex',
]);

/** h('button', {class: 'primary', onclick: f, data: {answer: 'approved'}}, 'Approve') */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (AS_PROPERTY.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/** Replaces what is inside `element`. */
export function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const SHAPES = {
  check: 'M5 12.5l4.5 4.5L19 7.5',
  cross: 'M7 7l10 10M17 7L7 17',
  clock: 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 6 6l1-1',
  back: 'M15 6l-6 6 6 6',
  minus: 'M6 12h12',
  alert: 'M12 8v5M12 16.5v.1M12 3.5L21.5 20h-19z',
};

/** A small drawn sign; it says nothing to a screen reader, so words must stand beside it. */
export function icon(shape) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', SHAPES[shape]);
  svg.append(path);
  return svg;
}

/** A button that copies `text` and says so. The old way is kept for hubs that are reached over plain HTTP. */
export function copyButton(text, label = 'Copy') {
  const button = h('button', { type: 'button', class: 'quiet small', onclick: copy }, label);
  async function copy() {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = h('textarea', { value: text, class: 'off-screen' });
      document.body.append(box);
      box.select();
      done = document.execCommand('copy');
      box.remove();
      button.focus();
    }
    button.textContent = done ? 'Copied' : 'Select and copy by hand';
    setTimeout(() => (button.textContent = label), 2000);
  }
  return button;
}
