// The inbox: what waits for an answer, live, and what ended lately.

import { fill, h } from '../dom.js';
import { blank } from '../drafts.js';
import { ended, waiting } from '../state.js';
import { drawCard } from './card.js';
import { drawRow } from './ended.js';
import { NOTICES } from './inbox-notices.js';

const LINGER = 8000; // an ended card stays where it was for a while, so that nobody misses how it ended
const SHIFT_GUARD = 600;

export function drawInbox(page) {
  const { store, sync } = page;
  const cards = new Map();
  const rows = new Map();
  const title = h('h1', { tabIndex: -1 }, 'Waiting for you');
  const notice = h('div', {});
  const list = h('div', { class: 'cards', id: 'waiting' });
  const over = h('ul', { class: 'rows-list panel', id: 'ended' });
  const more = h('button', { type: 'button', class: 'quiet', id: 'more-ended', onclick: loadMore }, 'Show more');
  const lately = h(
    'section',
    { class: 'lately', 'aria-labelledby': 'lately-title', hidden: true },
    h('h2', { id: 'lately-title' }, 'Recently ended'),
    over,
    more,
  );
  const element = h('div', { class: 'view', data: { view: 'inbox' } }, title, notice, list, lately);
  let drawn = false;
  let guard;

  function draw(state) {
    const { phase } = state.inbox;
    const open = waiting(state);
    for (const card of cards.values()) card.update(state.requests[card.request.id] ?? card.request);
    for (const request of open) if (!cards.has(request.id)) cards.set(request.id, arrive(request));
    place(open);
    drawEnded(state);
    list.setAttribute('aria-busy', String(phase === 'loading'));
    drawNotice(state);
    drawn = phase === 'ready';
  }

  function arrive(request) {
    const card = drawCard(page, request);
    if (drawn) card.element.classList.add('arrived');
    return card;
  }

  /** Puts the cards in order; those that ended a moment ago keep their place among them. */
  function place(open) {
    const stay = [...cards.values()].filter((card) => card.request.status !== 'pending');
    for (const card of stay) card.endedAt ??= (setTimeout(sweep, LINGER), Date.now());
    const order = open.map((request) => cards.get(request.id));
    const before = [...list.children];
    for (const card of stay) {
      const at = before.indexOf(card.element);
      const follows = before
        .slice(0, at)
        .reverse()
        .map((each) => order.findIndex((other) => other.element === each))
        .find((index) => index >= 0);
      order.splice(follows === undefined ? 0 : follows + 1, 0, card);
    }
    // Only what is out of place is moved: moving an element takes the focus from it.
    const typing = list.contains(document.activeElement) ? document.activeElement : null;
    const height = typing?.getBoundingClientRect().top;
    let moved = false;
    order.forEach((card, index) => {
      if (list.children[index] === card.element) return;
      list.insertBefore(card.element, list.children[index] ?? null);
      moved = true;
    });
    if (!moved) return;
    // What somebody is typing in stays where it is on the screen; what came above is told by the count and the announcer.
    if (typing) scrollBy({ top: typing.getBoundingClientRect().top - height, behavior: 'instant' });
    if (drawn) shield();
  }

  /** For a moment after cards moved, a click meant for one button must not press another. */
  function shield() {
    list.classList.add('shifting');
    clearTimeout(guard);
    guard = setTimeout(() => list.classList.remove('shifting'), SHIFT_GUARD);
  }

  /** Moves ended cards down to the list below, unless somebody is still at them. */
  function sweep() {
    if (!element.isConnected) return;
    let gone = false;
    for (const [id, card] of cards) {
      if (card.request.status === 'pending' || Date.now() - card.endedAt < LINGER - 50) continue;
      if (card.busy) {
        setTimeout(sweep, 2000);
        continue;
      }
      card.close();
      card.element.remove();
      cards.delete(id);
      gone = true;
    }
    if (!gone) return;
    shield();
    drawEnded(store.state);
    drawNotice(store.state);
  }

  function drawEnded(state) {
    const items = ended(state).filter((request) => !cards.has(request.id));
    items.forEach((request, index) => {
      const key = `${request.id} ${request.status}`;
      if (!rows.has(key)) rows.set(key, drawRow(request, state.me));
      if (over.children[index] !== rows.get(key)) over.insertBefore(rows.get(key), over.children[index] ?? null);
    });
    while (over.children.length > items.length) over.lastChild.remove();
    lately.hidden = items.length === 0 && !state.inbox.more;
    over.hidden = items.length === 0;
    more.hidden = !state.inbox.more;
  }

  let shown;
  function drawNotice(state) {
    const { phase, problem } = state.inbox;
    const kind =
      phase === 'loading' ? 'loading' : problem ? `problem ${problem.message}` : cards.size === 0 ? 'empty' : 'none';
    if (kind === shown) return;
    shown = kind;
    fill(notice, (NOTICES[kind.split(' ')[0]] ?? (() => null))({ me: state.me, problem, retry: () => sync.load() }));
  }

  async function loadMore() {
    more.disabled = true;
    try {
      await sync.loadMore();
      more.textContent = 'Show more';
    } catch (problem) {
      more.textContent = `Not loaded. ${problem.message} Try again`;
    } finally {
      more.disabled = false;
    }
  }

  // A card that ended while text was typed for it is shown whole again after a reload, until that text is let go.
  function withUnsent(state) {
    for (const request of ended(state)) {
      const draft = page.drafts.read(request.id);
      if (draft && !(blank(draft.value) && !draft.comment) && !cards.has(request.id))
        cards.set(request.id, drawCard(page, request));
    }
  }
  withUnsent(store.state);
  draw(store.state);
  const stop = store.subscribe((state, before) => {
    if (state.requests === before.requests && state.inbox === before.inbox) return;
    if (before.inbox.phase !== 'ready') withUnsent(state);
    draw(state);
  });

  return {
    element,
    close() {
      stop();
      clearTimeout(guard);
      for (const card of cards.values()) card.close();
    },
  };
}
