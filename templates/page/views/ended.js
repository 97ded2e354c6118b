// How a request ended: the full strip on a card, the unsent text beneath it, and the short row in the list.

import { asker } from '../asker.js';
import { copyButton, h, icon } from '../dom.js';
import { sentence, tone, valueText } from '../ending.js';
import { plain } from '../markdown.js';
import { createControl } from '../question/index.js';
import { endedAt } from '../state.js';
import { exact } from '../time.js';

const SIGNS = { good: 'check', bad: 'cross', late: 'clock', neutral: 'minus' };

export function drawEnding(request, me) {
  const { outcome } = request;
  const at = endedAt(request);
  const comment = outcome?.comment ? h('blockquote', { dir: 'auto' }, outcome.comment) : null;
  return h(
    'div',
    { class: 'ending', tabIndex: -1, data: { ending: request.status, tone: tone(request) } },
    h(
      'p',
      { class: 'ending-line', title: at ? exact(at) : null },
      icon(SIGNS[tone(request)]),
      h('span', {}, sentence(request, me)),
    ),
    outcome && request.kind !== 'approval' && (outcome.source === 'person' || request.kind === 'form')
      ? drawValue(request)
      : null,
    comment,
  );
}

function drawValue(request) {
  const { value } = request.outcome;
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    return h('p', { class: 'outcome-value', dir: 'auto' }, valueText(request));
  return h(
    'dl',
    { class: 'outcome-value' },
    Object.entries(value).map(([name, part]) =>
      h(
        'div',
        {},
        h('dt', {}, request.schema?.properties?.[name]?.title ?? name),
        h('dd', { dir: 'auto' }, shown(part)),
      ),
    ),
  );
}

const shown = (part) => {
  if (typeof part === 'string') return part;
  if (typeof part === 'boolean') return part ? 'yes' : 'no';
  if (Array.isArray(part) && part.every((each) => typeof each !== 'object')) return part.join(', ');
  return part !== null && typeof part === 'object' ? h('pre', {}, JSON.stringify(part, null, 2)) : String(part);
};

/** What was typed here and not sent: to be read and copied, never sent by itself. */
export function drawUnsent(request, draft, onDiscard) {
  const value = createControl({ request, draft: draft.value, onInput() {} })?.said() ?? '';
  const text = [value, draft.comment].filter(Boolean).join('\n');
  if (!text) return null;
  const discard = h(
    'button',
    {
      type: 'button',
      class: 'quiet small',
      onclick: () => {
        onDiscard();
        element.remove();
      },
    },
    'Discard',
  );
  const element = h(
    'section',
    { class: 'unsent', 'aria-label': 'Your unsent text' },
    h('div', { class: 'unsent-head' }, h('strong', {}, 'Your unsent text'), copyButton(text), discard),
    h('pre', { dir: 'auto' }, text),
  );
  return element;
}

export function drawRow(request, me) {
  const look = tone(request);
  const value =
    request.outcome && request.kind !== 'approval' && request.outcome.source === 'person'
      ? `: ${valueText(request)}`
      : '';
  return h(
    'li',
    { data: { requestId: request.id, status: request.status, tone: look } },
    h(
      'a',
      { href: `#/requests/${encodeURIComponent(request.id)}` },
      h('span', { class: 'row-sign' }, icon(SIGNS[look])),
      h(
        'span',
        { class: 'row-text' },
        h('span', { class: 'row-prompt', dir: 'auto' }, plain(request.prompt)),
        h('span', { class: 'muted' }, `${asker(request).name} · ${sentence(request, me)}${value}`),
      ),
    ),
  );
}
