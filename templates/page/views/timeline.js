// What became of a request so far, beneath its card: its deliveries with their attempts, the responses, the ending.

import { fill, h, icon } from '../dom.js';
import { timeline } from '../timeline/entries.js';
import { follow } from '../timeline/follow.js';
import { allPages } from '../timeline/pages.js';
import { isDenied, notes } from '../timeline/words.js';
import { clock, exact } from '../time.js';

/** For a request that the store holds. */
export function drawTimeline({ api, store, sync }, id) {
  const lists = {
    deliveries: { items: [], more: false, problem: null },
    responses: { items: [], more: false, problem: null },
  };
  const drawn = new Map();
  const list = h('ol', { class: 'entries', role: 'list' });
  const loading = h('p', { class: 'muted' }, 'Loading its deliveries and responses…');
  const remarks = h('div', { class: 'remarks' }, loading);
  const element = h(
    'section',
    { class: 'timeline panel', 'aria-labelledby': 'timeline-title', 'aria-busy': 'true' },
    h('h2', { id: 'timeline-title' }, 'Timeline'),
    list,
    remarks,
  );
  const request = () => store.state.requests[id];
  const pending = () => request()?.status === 'pending';
  let looked = false;

  async function look() {
    // The socket tells people what they are asked, not how it goes with what they asked. A failure shows in the lists.
    const self = looked && pending() ? sync.refresh(id).catch(() => {}) : null;
    await Promise.all([load('deliveries'), load('responses'), self]);
    looked = true;
    draw();
    const problems = Object.values(lists).flatMap(({ problem }) => problem ?? []);
    if (problems.length === 2 && problems.every(isDenied)) return Infinity;
    return Math.max(0, ...problems.map(({ retryAfter }) => Number(retryAfter) * 1000 || 0));
  }

  async function load(name) {
    try {
      lists[name] = { ...(await allPages((page) => api[name](id, page))), problem: null };
    } catch (problem) {
      // What was loaded before stays.
      lists[name] = { ...lists[name], problem };
    }
  }

  function draw() {
    if (!request()) return;
    const parts = { deliveries: lists.deliveries.items, responses: lists.responses.items };
    const entries = timeline(request(), parts, store.state.me);
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, { item }] of drawn) if (!keys.has(key)) (item.remove(), drawn.delete(key));
    // Only what changed is made anew, so that a selection or a reader's place in the rest is not lost.
    entries.forEach((entry, index) => {
      const text = JSON.stringify(entry);
      const old = drawn.get(entry.key);
      if (old?.text !== text) {
        drawn.set(entry.key, { text, item: drawEntry(entry) });
        old?.item.remove();
      }
      const { item } = drawn.get(entry.key);
      if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    });
    if (looked) drawRemarks();
  }

  let remarked;
  function drawRemarks() {
    element.setAttribute('aria-busy', 'false');
    const said = notes(lists);
    const text = JSON.stringify(said);
    // The same words again would be read out again.
    if (text === remarked) return;
    remarked = text;
    fill(
      remarks,
      said.map((note) => (note.calm ? h('p', { class: 'muted' }, note.text) : drawFault(note.text))),
    );
  }

  const drawFault = (text) =>
    h(
      'div',
      { class: 'form-error', role: 'alert' },
      icon('alert'),
      h('span', {}, text),
      h('button', { type: 'button', class: 'small', onclick: () => looking.now() }, 'Try again'),
    );

  draw();
  const looking = follow({ look, pending });
  const stop = store.subscribe((state, before) => {
    const [now, then] = [state.requests[id], before.requests[id]];
    if (!now || now === then) return;
    draw();
    // The cursor moves with what the socket tells; what this view itself loaded is no reason to load again.
    if (state.cursor !== before.cursor || now.status !== then?.status) looking.now();
  });

  return {
    element,
    close() {
      stop();
      looking.stop();
    },
  };
}

function drawEntry({ kind, key, at, tone, title, badge, lines }) {
  return h(
    'li',
    { class: 'entry', data: { entry: kind, key, tone } },
    at
      ? h('time', { class: 'entry-time', datetime: at, title: exact(at) }, clock(at, undefined, { seconds: true }))
      : h('span', { class: 'entry-time' }, 'time not told'),
    h(
      'div',
      { class: 'entry-body' },
      h(
        'p',
        { class: 'entry-head' },
        h('span', { class: 'entry-title', dir: 'auto' }, title),
        badge ? [' ', h('span', { class: 'entry-badge' }, badge)] : null,
      ),
      lines.length
        ? h(
            'dl',
            { class: 'entry-lines' },
            lines.map(({ label, text }) => h('div', {}, h('dt', {}, label), h('dd', { dir: 'auto' }, text))),
          )
        : null,
    ),
  );
}
