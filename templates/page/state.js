// What the page knows, as a pure function: reduce(state, message) -> state. Messages are the hub's own (by their
// `type`) and the page's (types that begin with "page."). The same event twice changes nothing the second time.

const SEEN_MAX = 4000;

export const empty = () => ({
  me: null,
  requests: {}, // by id
  cursor: null, // the last event, sent as ?after= on the next connection
  seen: new Map(), // event ids, oldest first
  inbox: { phase: 'loading', problem: null, more: null },
  connection: { phase: 'connecting', since: null },
});

export function reduce(state, message) {
  switch (message.type) {
    case 'page.signed_in':
      // Somebody else's questions must not stay on the screen.
      return state.me?.id === message.user.id ? { ...state, me: message.user } : { ...empty(), me: message.user };
    case 'page.signed_out':
      return empty();
    case 'page.connection':
      return { ...state, connection: { phase: message.phase, since: message.since ?? null } };
    case 'page.inbox':
      return { ...state, inbox: { ...state.inbox, ...message.inbox } };
    case 'page.requests':
      return { ...state, requests: message.items.reduce(remember, state.requests) };
    case 'connection_established':
      // On a new connection the hub tells where its story starts; a resumed one goes on from the cursor it was given.
      return state.cursor === null && message.after ? { ...state, cursor: message.after } : state;
    case 'error':
      // The hub no longer knows our place: begin again, without it.
      return message.code === 'cursor' ? { ...state, cursor: null, seen: new Map() } : state;
    default:
      return message.event_id ? fact(state, message) : state;
  }
}

function fact(state, message) {
  if (state.seen.has(message.event_id)) return state;
  const seen = new Map(state.seen).set(message.event_id, true);
  if (seen.size > SEEN_MAX) seen.delete(seen.keys().next().value);
  const carries = ['feedback_request', 'feedback_undeliverable', 'feedback_settled'].includes(message.type);
  const requests = carries ? remember(state.requests, message.request) : state.requests;
  return { ...state, seen, cursor: message.event_id, requests };
}

/** Adds or replaces a request. A request ends once: older news about it cannot bring it back. */
function remember(requests, request) {
  const known = requests[request.id];
  if (known && known.status !== 'pending' && request.status === 'pending') return requests;
  return { ...requests, [request.id]: request };
}

const byDeadline = (a, b) =>
  Number(b.urgent ?? false) - Number(a.urgent ?? false) ||
  moment(a.expires_at) - moment(b.expires_at) ||
  (a.id < b.id ? -1 : 1);
const moment = (at) => Date.parse(at ?? '') || 0;

/** When a request ended, as far as it is told. */
export const endedAt = (request) =>
  request.ended_at ?? request.outcome?.at ?? (request.status === 'expired' ? request.expires_at : null);

const byEnding = (a, b) =>
  moment(endedAt(b) ?? b.created_at) - moment(endedAt(a) ?? a.created_at) || (a.id < b.id ? 1 : -1);

/** Whether the person is asked: a request that is merely looked at is not theirs to answer, and not in their inbox. */
export const asked = (state, request) =>
  !Array.isArray(request.to) || request.to.some((person) => person.id === state.me?.id);

/** What waits for an answer: urgent first, then the soonest deadline. */
export const waiting = (state) =>
  Object.values(state.requests)
    .filter((request) => request.status === 'pending' && asked(state, request))
    .sort(byDeadline);

/** What is over: the latest first. */
export const ended = (state) =>
  Object.values(state.requests)
    .filter((request) => request.status !== 'pending' && asked(state, request))
    .sort(byEnding);

/** Of the requests that were held as pending, those which a later, complete list of the pending ones does not name. */
export const unnamed = (held, pendingItems) => {
  const named = new Set(pendingItems.map((request) => request.id));
  return held.filter((request) => !named.has(request.id));
};

/** What changed for the person between two states: requests that came, and requests that ended. */
export function news(before, after) {
  const came = waiting(after).filter((request) => !before.requests[request.id]);
  const over = ended(after).filter((request) => before.requests[request.id]?.status === 'pending');
  return { came, over };
}

/** Holds the state, and tells who listens. */
export function createStore(initial = empty()) {
  let state = initial;
  const listeners = new Set();
  return {
    get state() {
      return state;
    },
    send(message) {
      const before = state;
      state = reduce(before, message);
      if (state !== before) for (const listener of [...listeners]) listener(state, before);
      return state;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
