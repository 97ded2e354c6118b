// What surrounds every view of a signed-in person: the head with its navigation, the connection, the account menu.

import { fill, h } from '../dom.js';
import { waiting } from '../state.js';
import { drawConnection } from './connection.js';

export function drawShell(page) {
  const { store, hub } = page;
  const { me } = store.state;
  const connection = drawConnection(page);
  const badge = h('span', { class: 'badge', id: 'pending-count' });
  const links = {
    inbox: h('a', { href: '#/' }, 'Inbox', badge),
    tokens: h('a', { href: '#/tokens' }, 'Service tokens'),
    docs: h(
      'a',
      { href: docsAddress(hub.docs), target: '_blank', rel: 'noopener' },
      'API docs',
      h('span', { class: 'off-screen' }, ' (opens in a new tab)'),
    ),
  };
  const menu = accountMenu(page, me);
  const main = h('main', { id: 'main', tabIndex: -1 });
  const element = h(
    'div',
    { class: 'shell' },
    h(
      'a',
      {
        class: 'skip',
        href: '#main',
        onclick: (event) => {
          event.preventDefault();
          main.focus();
        },
      },
      'Skip to the content',
    ),
    h(
      'header',
      { class: 'head' },
      h(
        'div',
        { class: 'head-inner' },
        h(
          'a',
          { class: 'brand', href: '#/' },
          h('img', { src: new URL('assets/icon.svg', document.baseURI).href, alt: '', width: 30, height: 30 }),
          h('span', {}, 'Hearback'),
        ),
        h('nav', { 'aria-label': 'Main' }, links.inbox, links.tokens, links.docs),
        h('div', { class: 'head-end' }, connection.sign, menu.element),
      ),
    ),
    connection.banner,
    main,
  );

  function count() {
    const { length } = waiting(store.state);
    badge.hidden = length === 0;
    fill(badge, String(length), h('span', { class: 'off-screen' }, ' waiting'));
  }
  count();
  const stop = store.subscribe(count);

  return {
    element,
    show(view) {
      fill(main, view.element);
      for (const [name, link] of Object.entries(links)) {
        if (name === view.name) link.setAttribute('aria-current', 'page');
        else link.removeAttribute('aria-current');
      }
      scrollTo(0, 0);
      // Readers hear where they are, without a ring around the whole view.
      (view.element.querySelector('h1') ?? main).focus({ preventScroll: true });
    },
    close() {
      stop();
      connection.close();
      menu.close();
    },
  };
}

/** The hub may live below a prefix, which its own word for the documentation may or may not hold. */
function docsAddress(docs = 'docs') {
  const base = new URL('.', document.baseURI);
  return new URL(docs.startsWith(base.pathname) ? docs : docs.replace(/^\//, ''), base).href;
}

function accountMenu(page, me) {
  const trouble = h('p', { class: 'field-error', role: 'alert', hidden: true });
  const out = h('button', { type: 'button', id: 'sign-out', onclick: signOut }, 'Sign out');
  const element = h(
    'details',
    { class: 'menu', id: 'account' },
    h(
      'summary',
      {},
      h('span', { class: 'avatar', 'aria-hidden': 'true' }, me.username.slice(0, 2)),
      h('span', { class: 'menu-name' }, me.username),
      h('span', { class: 'off-screen' }, ': account menu'),
    ),
    h(
      'div',
      { class: 'menu-sheet' },
      h(
        'p',
        { class: 'menu-who' },
        h('strong', {}, me.username),
        h('span', {}, me.email),
        h('span', { class: 'role' }, me.role === 'administrator' ? 'Administrator' : 'Member'),
      ),
      out,
      trouble,
    ),
  );

  async function signOut() {
    out.disabled = true;
    trouble.hidden = true;
    try {
      await page.signOut();
    } catch (problem) {
      out.disabled = false;
      trouble.textContent = `You are still signed in. ${problem.message}`;
      trouble.hidden = false;
    }
  }
  const outside = (event) => element.contains(event.target) || (element.open = false);
  const escape = (event) => {
    if (event.key !== 'Escape' || !element.open) return;
    element.open = false;
    element.querySelector('summary').focus();
  };
  document.addEventListener('click', outside);
  document.addEventListener('keydown', escape);
  return {
    element,
    close() {
      document.removeEventListener('click', outside);
      document.removeEventListener('keydown', escape);
    },
  };
}
