// One request as a card: who asks what, until when, and either the answer's controls or how it ended. A card is made
// once and updated in place, so that live news never takes away what somebody is typing.

import { asker, people } from '../asker.js';
import { fill, h } from '../dom.js';
import { markdown } from '../markdown.js';
import { asked } from '../state.js';
import { ago, countdown, everySecond, exact } from '../time.js';
import { drawAnswer } from './answer.js';
import { drawContext } from './context.js';
import { drawEnding, drawUnsent } from './ended.js';

/** alone: the card is the whole view, not one of a list. */
export function drawCard(page, first, { alone = false } = {}) {
  let request = first;
  const { store, drafts } = page;
  const deadline = h('time', { class: 'deadline' });
  const age = h('span', {});
  const marks = h(
    'div',
    { class: 'marks' },
    request.urgent ? h('span', { class: 'urgent' }, 'Urgent') : null,
    deadline,
  );
  const body = h('div', { class: 'card-body' });
  const promptId = `prompt-${request.id}`;
  const prompt = markdown(request.prompt, 'prompt');
  prompt.id = promptId;
  const { name, behind } = asker(request);
  const { me } = store.state;
  const others = people(request.to, me);
  const element = h(
    'article',
    { class: 'card', 'aria-labelledby': promptId, data: { requestId: request.id, kind: request.kind } },
    h(
      'header',
      { class: 'card-head' },
      h('span', { class: 'avatar', 'aria-hidden': 'true' }, name.slice(0, 2)),
      h(
        'div',
        { class: 'who' },
        h('p', {}, h('strong', {}, name), ' asks ', others || 'you'),
        h(
          'p',
          { class: 'muted' },
          behind && behind !== name
            ? `${behind === me?.username ? 'with your token' : `with ${behind}’s token`} · `
            : null,
          age,
          alone
            ? null
            : [
                ' · ',
                h(
                  'a',
                  {
                    class: 'own-page',
                    href: `#/requests/${encodeURIComponent(request.id)}`,
                    'aria-label': 'This request’s own page',
                    title: 'This request’s own page',
                  },
                  'link',
                ),
              ],
        ),
      ),
      marks,
    ),
    prompt,
    request.context ? drawContext(request.context) : null,
    body,
  );

  let answer = null;

  function draw({ focus = false } = {}) {
    element.dataset.status = request.status;
    element.dataset.urgent = String(Boolean(request.urgent));
    tick();
    if (request.status === 'pending') return drawControls();
    marks.hidden = true;
    if (answer?.sending()) return; // how it ended is shown when the hub's own answer is here
    const held = focus || element.contains(document.activeElement);
    const ending = drawEnding(request, store.state.me);
    fill(body, ending, unsent());
    answer = null;
    if (held) ending.focus({ preventScroll: true });
  }

  function drawControls() {
    if (!asked(store.state, request))
      return fill(body, h('p', { class: 'notice' }, `Only ${people(request.to)} can answer this.`));
    answer = drawAnswer(page, request, { onEnd: draw });
    fill(body, answer.element);
  }

  /** What was typed and never sent, unless it is what was accepted. */
  function unsent() {
    const draft = drafts.read(request.id);
    if (!draft) return null;
    return drawUnsent(request, draft, () => drafts.remove(request.id));
  }

  function tick() {
    if (request.status !== 'pending') return false;
    const { text, tone } = countdown(request.expires_at);
    if (deadline.textContent !== text) deadline.textContent = text;
    if (deadline.dataset.tone !== tone) deadline.dataset.tone = tone;
    const old = request.created_at ? ago(request.created_at) : '';
    if (age.textContent !== old) age.textContent = old;
    return true;
  }

  deadline.dateTime = request.expires_at ?? '';
  deadline.title = request.expires_at ? `Until ${exact(request.expires_at)}` : '';
  age.title = request.created_at ? exact(request.created_at) : '';
  age.textContent = request.created_at ? ago(request.created_at) : '';
  draw();
  everySecond(() => tick() && element.dataset.gone !== 'true');

  return {
    element,
    get request() {
      return request;
    },
    update(next) {
      const changed = next.status !== request.status;
      request = next;
      if (changed) draw();
    },
    /** Whether somebody is busy with it, or it holds text that is not to vanish. */
    get busy() {
      return (
        element.contains(document.activeElement) ||
        element.matches(':hover') ||
        element.querySelector('.unsent') !== null ||
        Boolean(answer?.sending())
      );
    },
    close() {
      element.dataset.gone = 'true';
    },
  };
}
