// Keeps the store true: loads over HTTP what the socket does not tell, and feeds the store with what it does.

import { createSocket } from './socket.js';
import { unnamed, waiting } from './state.js';

const PAGE = 25;

export function createSync({ store, api, base = document.baseURI }) {
  let fresh = true;

  const socket = createSocket({
    url() {
      const url = new URL('ws', base);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      fresh = store.state.cursor === null;
      if (!fresh) url.searchParams.set('after', store.state.cursor);
      return url.href;
    },
    async prepare() {
      try {
        store.send({ type: 'page.signed_in', user: await api.me() });
        return true;
      } catch (problem) {
        if (problem.status === 401) return false;
        throw problem;
      }
    },
    onMessage(message) {
      store.send(message);
      // Without a place to resume from, what ended meanwhile is only known to the lists.
      if (message.type === 'connection_established' && fresh) load();
    },
    onPhase(phase) {
      const { connection } = store.state;
      // The moment of the cut is the first one; later failures do not move it.
      const since =
        phase === 'offline' ? (connection.phase === 'offline' ? connection.since : new Date().toISOString()) : null;
      store.send({ type: 'page.connection', phase, since });
    },
  });

  async function allPending() {
    const items = [];
    let cursor;
    do {
      const page = await api.requests({ status: 'pending', limit: 100, cursor });
      items.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor);
    return items;
  }

  let loading = null;
  /** Loads what is pending and the latest of the rest. */
  function load() {
    loading ??= loadOnce().finally(() => (loading = null));
    return loading;
  }

  async function loadOnce() {
    const held = waiting(store.state);
    try {
      const [pending, recent] = await Promise.all([allPending(), api.requests({ limit: PAGE })]);
      store.send({ type: 'page.requests', items: [...recent.items, ...pending] });
      store.send({ type: 'page.inbox', inbox: { phase: 'ready', problem: null, more: recent.next_cursor ?? null } });
      await Promise.all(unnamed(held, pending).map((request) => refresh(request.id).catch(() => {})));
    } catch (problem) {
      if (problem.status === 401) return;
      const known = store.state.inbox.phase === 'ready';
      store.send({ type: 'page.inbox', inbox: { phase: known ? 'ready' : 'failed', problem } });
    }
  }

  async function refresh(id) {
    const request = await api.request(id);
    store.send({ type: 'page.requests', items: [request] });
    return request;
  }

  return {
    load,
    refresh,
    async loadMore() {
      const page = await api.requests({ limit: PAGE, cursor: store.state.inbox.more });
      store.send({ type: 'page.requests', items: page.items });
      store.send({ type: 'page.inbox', inbox: { more: page.next_cursor ?? null } });
    },
    start() {
      load();
      socket.start();
    },
    stop: socket.stop,
    hurry: socket.hurry,
    cut: socket.cut,
  };
}
