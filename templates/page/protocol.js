// The messages of the hub's socket: what is read, checked, and what the page sends. See docs/contract/README.md.

const text = (value) => typeof value === 'string' && value !== '';
const request = (value) =>
  value !== null && typeof value === 'object' && text(value.id) && text(value.kind) && text(value.status);
const fact = (message) => text(message.event_id);

// The chat messages are known by name, so that their events count when the page resumes; it shows none of them yet.
const CHECKS = {
  connection_established: (message) => text(message.after) || message.after === null,
  feedback_request: (message) => fact(message) && request(message.request),
  feedback_settled: (message) => fact(message) && request(message.request),
  feedback_undeliverable: (message) => fact(message) && request(message.request),
  pong: () => true,
  error: (message) => text(message.code),
  session_started: () => true,
  session_ended: () => true,
  message_received: () => true,
  message: () => true,
  agent_status: () => true,
  stream_start: () => true,
  stream_chunk: () => true,
  stream_end: () => true,
  stream_error: () => true,
  rate_limit_status: () => true,
  rate_limit_exceeded: () => true,
};

/** One message from the hub, or null for what this page does not understand (a newer hub may say more). */
export function decode(raw) {
  let message;
  try {
    message = JSON.parse(raw);
  } catch {
    return null;
  }
  if (message === null || typeof message !== 'object' || !Object.hasOwn(CHECKS, message.type)) return null;
  return CHECKS[message.type](message) ? message : null;
}

export const ack = (event_id) => ({ type: 'ack', event_id });
export const ping = () => ({ type: 'ping' });

/** Bodies of the calls in api.js; `comment` and `username` are left out when empty. */
export const bodies = {
  register: ({ email, password, username }) => ({ email, password, ...(username ? { username } : {}) }),
  response: ({ value, comment }) => ({ value, ...(comment ? { comment } : {}) }),
  token: ({ name }) => ({ name }),
};
