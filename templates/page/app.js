// Starts the page: who is signed in, which view the address names, and what ties the parts together.

import { createApi } from './api.js';
import { fill, h } from './dom.js';
import { createDrafts } from './drafts.js';
import { sentence } from './ending.js';
import { plain } from './markdown.js';
import { asker } from './asker.js';
import { createStore, news, waiting } from './state.js';
import { createSync } from './sync.js';
import { drawInbox } from './views/inbox.js';
import { drawRequest } from './views/request.js';
import { drawShell } from './views/shell.js';
import { drawSignIn } from './views/signin.js';
import { drawTokens } from './views/tokens.js';

const root = document.getElementById('app');
const announcer = document.getElementById('announcer');
const store = createStore();
const api = createApi({
  onSignedOut: () => leave('Your session has ended. Sign in to go on; what you typed is kept.'),
});
const sync = createSync({ store, api });
const page = { store, api, sync, hub: null, drafts: null, signOut, announce };

let shell = null;
let view = null;

async function start() {
  try {
    page.hub = await api.hub();
    // The readable cookie lives as long as the sign-in: without it there is nobody to ask about.
    if (/(^|; )hb_csrf=/.test(document.cookie)) enter(await api.me());
    else leave();
  } catch (problem) {
    if (problem.status === 401) return;
    const again = h('button', { type: 'button', class: 'primary', onclick: () => location.reload() }, 'Try again');
    fill(
      root,
      h(
        'main',
        { class: 'lonely', data: { view: 'unreachable' } },
        h('h1', {}, 'The hub does not answer'),
        h('p', { role: 'alert' }, problem.message),
        again,
      ),
    );
  }
}

function enter(user) {
  page.drafts = createDrafts(localStorageOrNone(), user.id);
  page.drafts.prune();
  store.send({ type: 'page.signed_in', user });
  shell = drawShell(page);
  fill(root, shell.element);
  show();
  sync.start();
}

/** Shows the sign-in. Drafts stay: they are only removed by signing out oneself. */
function leave(note) {
  if (store.state.me === null && view?.name === 'signin') return;
  sync.stop();
  store.send({ type: 'page.signed_out' });
  view?.close?.();
  shell?.close();
  shell = null;
  document.title = 'Sign in · Hearback';
  view = {
    name: 'signin',
    ...drawSignIn(page, { note, onSignedIn: enter, onHubChanged: async () => (page.hub = await api.hub()) }),
  };
  fill(root, view.element);
  view.focus();
}

async function signOut() {
  await api.signOut();
  page.drafts.removeAll();
  leave('You are signed out.');
}

function show() {
  if (!shell) return;
  const [, place, id] = location.hash.split('/');
  view?.close?.();
  if (place === 'requests' && id) view = { name: 'request', ...drawRequest(page, decodeURIComponent(id)) };
  else if (place === 'tokens') view = { name: 'tokens', ...drawTokens(page) };
  else view = { name: 'inbox', ...drawInbox(page) };
  shell.show(view);
  retitle();
}

function retitle() {
  const { length } = waiting(store.state);
  const name = { inbox: 'Inbox', request: 'Request', tokens: 'Service tokens' }[view?.name];
  if (name) document.title = `${length ? `(${length}) ` : ''}${name} · Hearback`;
}

store.subscribe((state, before) => {
  // Somebody else signed in from another tab: nothing of the first person may stay.
  if (before.me && state.me && before.me.id !== state.me.id) return location.reload();
  retitle();
  if (before.inbox.phase !== 'ready') return;
  const { came, over } = news(before, state);
  for (const request of came) announce(`New request from ${asker(request).name}: ${plain(request.prompt)}`);
  for (const request of over) announce(`${plain(request.prompt, 80)} ${sentence(request, state.me)}`);
});

let unsaid = [];
function announce(text) {
  // A burst is told as one, since each new text would cut off the one before it.
  if (unsaid.push(text) === 1) {
    setTimeout(() => {
      announcer.textContent = unsaid.length > 3 ? `${unsaid.length} changes. ${unsaid.at(-1)}` : unsaid.join('. ');
      unsaid = [];
    }, 150);
  }
}

function localStorageOrNone() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

addEventListener('hashchange', show);
addEventListener('online', () => sync.hurry());
addEventListener('offline', () => sync.cut());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && sync.hurry());

start();
