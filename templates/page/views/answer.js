// The part of a card that answers: the control of the request's kind, a comment, the buttons, and what came of it.
// An answer leaves only by one of these buttons, over HTTP, and is called sent only when the hub said so.

import { fill, h, icon } from '../dom.js';
import { valueText } from '../ending.js';
import { createErrors, wording } from '../question/field-error.js';
import { createControl } from '../question/index.js';

const GONE = new Set([403, 404, 409, 410]);

export function drawAnswer(page, request, { onEnd }) {
  const { api, store, drafts, sync } = page;
  const draft = drafts.read(request.id);
  const control = createControl({ request, draft: draft?.value, onInput: keep });
  if (!control)
    return {
      element: h(
        'p',
        { class: 'notice' },
        `This page does not know questions of the kind “${request.kind}”. Answer it on another channel.`,
      ),
      sending: () => false,
    };

  let sending = false;
  const errors = createErrors();
  const said = h('div', { class: 'said', role: 'alert' });
  const commentId = `comment-${request.id}`;
  const comment = h('textarea', {
    id: commentId,
    rows: 1,
    value: draft?.comment ?? '',
    placeholder: 'Add a comment (optional)',
    data: { comment: '' },
    oninput: keep,
  });
  const kept = h('span', { class: 'kept', hidden: draft === null }, 'Draft kept in this browser');
  const buttons = control.actions.map(({ answer, label, class: look, icon: sign }) =>
    h(
      'button',
      {
        type: control.element ? 'submit' : 'button',
        class: look,
        data: { answer },
        onclick: (event) => {
          event.preventDefault();
          send(answer);
        },
      },
      sign ? icon(sign) : null,
      h('span', {}, label),
    ),
  );
  const element = h(
    'form',
    { class: 'answer', novalidate: true, onsubmit: (event) => event.preventDefault() },
    control.element,
    h(
      'div',
      { class: 'field comment' },
      h('label', { for: commentId, class: 'off-screen' }, 'Comment (optional)'),
      comment,
      errors.place('comment', comment),
    ),
    said,
    h('div', { class: 'actions' }, buttons, kept),
    request.on_expiry === null || request.on_expiry === undefined
      ? null
      : h(
          'p',
          { class: 'hint silence' },
          `If nobody answers in time: ${valueText({ ...request, outcome: { value: request.on_expiry } })}.`,
        ),
  );

  function keep() {
    drafts.write(request.id, { value: control.raw(), comment: comment.value });
    // Said only where the browser did keep it.
    kept.hidden = drafts.read(request.id) === null;
  }

  function busy(on) {
    sending = on;
    element.setAttribute('aria-busy', String(on));
    // What is sent must stay what is shown.
    for (const box of element.querySelectorAll('input, textarea, select, button')) box.disabled = on;
  }

  async function send(answer) {
    if (sending) return;
    fill(said);
    errors.clear();
    const { value, errors: wrong } = control.read(answer);
    if (wrong.length) return show(control.showErrors(wrong));
    control.showErrors([]);
    const pressed = document.activeElement;
    busy(true);
    fill(said, h('p', { class: 'muted' }, 'Sending…'));
    try {
      const answered = await api.respond(request.id, { value, comment: comment.value.trim() });
      drafts.remove(request.id);
      fill(said, h('p', { class: 'good' }, icon('check'), 'The hub has your answer.'));
      await learn(answered);
    } catch (problem) {
      if (await over(problem, value)) return;
      busy(false);
      pressed?.focus();
      show(control.showErrors(problem.errors), problem);
      return;
    }
    // Accepted, but where how it reads now is not known yet, the controls stay shut, and the socket will tell.
    sending = false;
    if (store.state.requests[request.id]?.status !== 'pending') finish();
  }

  /** The request as it is now: from the answer itself where it holds it, else asked for. */
  async function learn(answered) {
    if (answered?.feedback) store.send({ type: 'page.requests', items: [answered.feedback] });
    else await sync.refresh(request.id).catch(() => {});
  }

  /** Whether the request is no longer open, and somebody else's ending was shown instead. */
  async function over(problem, sent) {
    if (problem.feedback) store.send({ type: 'page.requests', items: [problem.feedback] });
    else if (GONE.has(problem.status)) await sync.refresh(request.id).catch(() => {});
    const now = store.state.requests[request.id];
    if (!now || now.status === 'pending') return false;
    // The same answer may have arrived before, with its receipt lost on the way back: then nothing is unsent.
    const { by, value, comment: told } = now.outcome ?? {};
    if (
      by &&
      by.id === store.state.me?.id &&
      JSON.stringify(value) === JSON.stringify(sent) &&
      (told ?? '') === comment.value.trim()
    )
      drafts.remove(request.id);
    finish();
    return true;
  }

  function finish() {
    sending = false;
    // The pressed button goes away, and with it the focus; it is not taken from where somebody has gone meanwhile.
    onEnd({ focus: element.contains(document.activeElement) || document.activeElement.matches('body, main') });
  }

  function show(homeless, problem) {
    const placed = problem ? problem.errors.length - homeless.length : 0;
    homeless = errors.show(homeless);
    const words = homeless.map((error) => `${error.field ? `${error.field}: ` : ''}${wording(error)}`);
    if (problem && (problem.errors.length === 0 || (homeless.length === 0 && placed === 0)))
      words.unshift(explain(problem));
    if (words.length) fill(said, h('div', { class: 'form-error' }, icon('alert'), h('span', {}, words.join(' '))));
    else fill(said);
  }

  return { element, sending: () => sending };
}

function explain(problem) {
  if (problem.offline)
    return 'Not sent, as far as this page knows: no answer came from the hub. What you wrote is kept. Try again.';
  if (problem.status === 401) return 'Not sent: sign in again. What you wrote is kept.';
  if (problem.status === 429)
    return `Not sent: too many answers at once. Try again${problem.retryAfter ? ` in ${problem.retryAfter} s` : ' in a moment'}.`;
  return `Not sent. ${problem.message}`;
}
