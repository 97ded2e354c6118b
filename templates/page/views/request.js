// One request at its own address, with its timeline. Opening it shows it, and never answers it.

import { fill, h, icon } from '../dom.js';
import { drawCard } from './card.js';
import { drawTimeline } from './timeline.js';

export function drawRequest(page, id) {
  const { store, sync } = page;
  const title = h('h1', { tabIndex: -1, class: 'off-screen' }, 'Request');
  const place = h('div', {}, h('div', { class: 'skeleton', 'aria-hidden': 'true' }));
  const element = h(
    'div',
    { class: 'view', data: { view: 'request' } },
    h('a', { class: 'back', href: '#/' }, icon('back'), 'Inbox'),
    title,
    place,
  );
  let card = null;
  let timeline = null;

  function draw(state) {
    const request = state.requests[id];
    if (!request) return;
    if (card) return card.update(request);
    card = drawCard(page, request, { alone: true });
    timeline = drawTimeline(page, id);
    fill(place, card.element, timeline.element);
  }

  async function load() {
    try {
      await sync.refresh(id);
    } catch (problem) {
      if (card) return;
      const gone = problem.status === 404 || problem.status === 403 || problem.status === 400;
      fill(
        place,
        h(
          'div',
          { class: 'panel nothing', role: 'alert' },
          h('h2', {}, gone ? 'There is no such request for you' : 'The request could not be loaded'),
          h('p', {}, gone ? 'It may have been asked of somebody else, or the link is not whole.' : problem.message),
          gone ? null : h('button', { type: 'button', class: 'primary', onclick: load }, 'Try again'),
        ),
      );
    }
  }
  draw(store.state);
  const stop = store.subscribe(draw);
  load();
  return {
    element,
    close() {
      stop();
      card?.close();
      timeline?.close();
    },
  };
}
