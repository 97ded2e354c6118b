// The detail beneath a question: folded when long, so that the buttons stay near what is asked.

import { h } from '../dom.js';
import { markdown } from '../markdown.js';

const LONG = 600;
const LINES = 9;

export function drawContext(text) {
  const content = markdown(text, 'context');
  if (text.length <= LONG && text.split('\n').length <= LINES) return content;
  const button = h(
    'button',
    { type: 'button', class: 'quiet small unfold', 'aria-expanded': 'false', onclick: turn },
    'Show all',
  );
  content.classList.add('folded');
  function turn() {
    const folded = content.classList.toggle('folded');
    button.textContent = folded ? 'Show all' : 'Show less';
    button.setAttribute('aria-expanded', String(!folded));
  }
  // Reaching a link inside by keyboard unfolds it: focus must not land on what cannot be seen.
  content.addEventListener('focusin', () => content.classList.contains('folded') && turn());
  return h('div', { class: 'context-frame' }, content, button);
}
