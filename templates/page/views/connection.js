// Says whether the page hears the hub: a sign in the head, and a banner while it does not.

import { fill, h, icon } from '../dom.js';
import { clock, exact } from '../time.js';

const WORDS = { online: 'Connected', connecting: 'Connecting…', offline: 'Not connected' };

export function drawConnection({ store, sync }) {
  const word = h('span', {});
  const sign = h(
    'span',
    { id: 'connection', class: 'connection', role: 'status' },
    h('span', { class: 'dot', 'aria-hidden': 'true' }),
    word,
  );
  const since = h('span', { class: 'since' });
  const banner = h('div', { class: 'banner', role: 'alert', id: 'offline-banner', hidden: true });
  const again = h('button', { type: 'button', class: 'small', onclick: () => sync.hurry() }, 'Try now');

  function draw({ connection }, before) {
    if (before?.connection === connection) return;
    sign.dataset.state = connection.phase;
    if (word.textContent !== WORDS[connection.phase]) word.textContent = WORDS[connection.phase];
    const offline = connection.phase === 'offline';
    // Filled anew only when it appears, so that a reader is told once.
    if (offline && banner.hidden) {
      since.textContent = ` Lost at ${clock(connection.since)}.`;
      since.title = exact(connection.since);
      fill(
        banner,
        h(
          'div',
          {},
          icon('alert'),
          h('p', {}, h('strong', {}, 'Not connected – answers are not sent until the connection is back.'), since),
          again,
        ),
      );
    }
    banner.hidden = !offline;
  }
  draw(store.state);
  return { sign, banner, close: store.subscribe(draw) };
}
