// What the inbox says above its list: that it loads, that loading failed, or how to ask a first question.

import { copyButton, h, icon } from '../dom.js';
import { askLine } from './paste-lines.js';

export const NOTICES = { loading, problem: failed, empty: nothing };

function loading() {
  const bone = () => h('div', { class: 'skeleton', 'aria-hidden': 'true' });
  return [h('p', { class: 'off-screen' }, 'Loading…'), bone(), bone()];
}

function failed({ problem, retry }) {
  return h(
    'div',
    { class: 'form-error', role: 'alert' },
    icon('alert'),
    h('span', {}, `The list could not be loaded. ${problem.message} `),
    h('button', { type: 'button', class: 'small', onclick: retry }, 'Try again'),
  );
}

function nothing({ me }) {
  const line = askLine(me.username);
  return h(
    'div',
    { class: 'panel nothing' },
    h('span', { class: 'nothing-sign' }, icon('check')),
    h('h2', {}, 'Nothing waits for you'),
    h(
      'p',
      {},
      'Questions appear here the moment a program asks. Try it from a shell, with a ',
      h('a', { href: '#/tokens' }, 'service token'),
      ':',
    ),
    h('div', { class: 'line' }, h('code', {}, line), copyButton(line)),
  );
}
