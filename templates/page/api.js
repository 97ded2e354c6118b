// Calls to the hub. Every failure is a Problem: with the hub's own words where it answered, else with `offline`.

import { bodies } from './protocol.js';
import { learnClock } from './time.js';

const TIMEOUT = 20_000;
const RENEWED = 'hearback.renewed';

export class Problem extends Error {
  constructor({ status = 0, type = 'offline', title, detail, errors, feedback, retryAfter } = {}) {
    super(detail || title || 'The hub gave no answer.');
    Object.assign(this, {
      status,
      kind: type.split(':').pop(),
      errors: errors ?? [],
      feedback: feedback ?? null,
      retryAfter,
    });
  }
  /** No answer came: nobody knows whether the call arrived. */
  get offline() {
    return this.status === 0;
  }
}

export function createApi({ base = document.baseURI, onSignedOut = () => {} } = {}) {
  const csrf = () => document.cookie.match(/(?:^|; )hb_csrf=([^;]*)/)?.[1];

  async function once(method, path, { json, form } = {}) {
    const headers = { Accept: 'application/json' };
    if (method !== 'GET' && csrf()) headers['X-CSRF-Token'] = decodeURIComponent(csrf());
    if (json !== undefined) headers['Content-Type'] = 'application/json';
    const body = json !== undefined ? JSON.stringify(json) : form && new URLSearchParams(form);
    let answer, text;
    try {
      answer = await fetch(new URL(path, base), {
        method,
        headers,
        body,
        cache: 'no-store',
        credentials: 'same-origin',
        signal: AbortSignal.timeout(TIMEOUT),
      });
      text = await answer.text();
    } catch {
      throw new Problem({ detail: 'No answer came from the hub. Check the connection.' });
    }
    learnClock(answer.headers.get('Date'));
    let content = null;
    try {
      content = text ? JSON.parse(text) : null;
    } catch {
      // Below: an error page of a proxy is still an error, and a wrong type of answer is one as well.
    }
    if (answer.ok && (content !== null || !text)) return content;
    const fallback = answer.ok
      ? 'The hub answered in a way that this page does not understand.'
      : `The hub answered with an error (${answer.status}).`;
    throw new Problem({
      detail: fallback,
      ...content,
      status: answer.status,
      retryAfter: answer.headers.get('Retry-After'),
    });
  }

  // Refresh tokens are good for one use, and tabs share them: one tab renews at a time, and the others notice.
  const renewedAt = () => {
    try {
      return Number(localStorage.getItem(RENEWED)) || 0;
    } catch {
      return 0;
    }
  };
  let renewing = null;
  const alone = (work) => (globalThis.navigator?.locks ? navigator.locks.request(RENEWED, work) : work());
  const renew = (since) =>
    (renewing ??= alone(async () => {
      if (renewedAt() >= since) return;
      await once('POST', 'api/auth/refresh');
      try {
        localStorage.setItem(RENEWED, String(Date.now()));
      } catch {
        /* only other tabs miss it */
      }
    }).finally(() => (renewing = null)));

  async function call(method, path, options) {
    const since = Date.now();
    try {
      return await once(method, path, options);
    } catch (problem) {
      if (problem.status !== 401) throw problem;
    }
    try {
      await renew(since);
      return await once(method, path, options);
    } catch (problem) {
      if (problem.status === 401) onSignedOut();
      throw problem;
    }
  }

  const query = (parameters) => {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
    return given.length ? `?${new URLSearchParams(given)}` : '';
  };
  const id = encodeURIComponent;

  return {
    hub: () => once('GET', '.'),
    register: (account) => once('POST', 'api/auth/register', { json: bodies.register(account) }),
    signIn: (username, password) => once('POST', 'api/auth/session', { form: { username, password } }),
    signOut: () => call('DELETE', 'api/auth/session'),
    me: () => call('GET', 'api/auth/me'),
    tokens: (page = {}) => call('GET', `api/tokens${query(page)}`),
    createToken: (token) => call('POST', 'api/tokens', { json: bodies.token(token) }),
    revokeToken: (tokenId) => call('DELETE', `api/tokens/${id(tokenId)}`),
    requests: (page = {}) => call('GET', `api/feedback${query({ as: 'asked', ...page })}`),
    request: (requestId) => call('GET', `api/feedback/${id(requestId)}`),
    deliveries: (requestId, page = {}) => call('GET', `api/feedback/${id(requestId)}/deliveries${query(page)}`),
    responses: (requestId, page = {}) => call('GET', `api/feedback/${id(requestId)}/responses${query(page)}`),
    respond: (requestId, response) =>
      call('POST', `api/feedback/${id(requestId)}/responses`, { json: bodies.response(response) }),
  };
}
