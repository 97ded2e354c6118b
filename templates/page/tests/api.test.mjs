import assert from 'node:assert/strict';
import test from 'node:test';

globalThis.document = { baseURI: 'https://hub.example.org/p/', cookie: 'a=b; hb_csrf=s%2Fecret' };
const { createApi } = await import('../api.js');

/** Plays the hub: `answers` is a list of [status, body]; calls are noted. */
function hub(context, answers) {
  const calls = [];
  context.mock.method(globalThis, 'fetch', async (url, { method, headers, body }) => {
    calls.push({ call: `${method} ${url.pathname}${url.search}`, headers, body });
    const next = answers.shift();
    if (!next) throw new TypeError('network');
    return new Response(next[1] === undefined ? null : JSON.stringify(next[1]), { status: next[0] });
  });
  return calls;
}

test('calls go below the prefix, with the token against forgery where they change something', async (t) => {
  const calls = hub(t, [
    [200, { items: [], next_cursor: null }],
    [200, {}],
    [200, {}],
    [200, {}],
  ]);
  const api = createApi();
  await api.requests({ status: 'pending', limit: 100, cursor: null });
  await api.respond('r1', { value: 'approved', comment: '' });
  await api.deliveries('r1', { limit: 100 });
  await api.responses('r/1', { limit: 100, cursor: 'c=' });
  assert.deepEqual(
    calls.map(({ call }) => call),
    [
      'GET /p/api/feedback?as=asked&status=pending&limit=100',
      'POST /p/api/feedback/r1/responses',
      'GET /p/api/feedback/r1/deliveries?limit=100',
      'GET /p/api/feedback/r%2F1/responses?limit=100&cursor=c%3D',
    ],
  );
  assert.equal(calls[0].headers['X-CSRF-Token'], undefined);
  assert.equal(calls[1].headers['X-CSRF-Token'], 's/ecret');
  assert.equal(calls[1].body, '{"value":"approved"}');
});

test('an expired sign-in is renewed once, and the call repeated', async (t) => {
  const calls = hub(t, [[401, {}], [204], [200, { id: 'u' }]]);
  assert.deepEqual(await createApi().me(), { id: 'u' });
  assert.deepEqual(
    calls.map(({ call }) => call),
    ['GET /p/api/auth/me', 'POST /p/api/auth/refresh', 'GET /p/api/auth/me'],
  );
  assert.equal(calls[1].body, undefined);
});

test('calls that fail together share one renewal', async (t) => {
  const calls = hub(t, [[401, {}], [401, {}], [204], [200, {}], [200, {}]]);
  const api = createApi();
  await Promise.all([api.me(), api.tokens()]);
  assert.equal(calls.filter(({ call }) => call.endsWith('/refresh')).length, 1);
});

test('a sign-in that cannot be renewed is told', async (t) => {
  hub(t, [
    [401, {}],
    [401, { type: 'urn:hearback:problem:unauthenticated', detail: 'Gone.' }],
  ]);
  let out = 0;
  await assert.rejects(createApi({ onSignedOut: () => (out += 1) }).me(), {
    status: 401,
    kind: 'unauthenticated',
    message: 'Gone.',
  });
  assert.equal(out, 1);
});

test('no answer is not an answer', async (t) => {
  hub(t, []);
  let out = 0;
  await assert.rejects(createApi({ onSignedOut: () => (out += 1) }).me(), { offline: true, status: 0 });
  assert.equal(out, 0);
});

test('a wrong password is told and renews nothing', async (t) => {
  const calls = hub(t, [[401, { detail: 'Wrong.' }]]);
  await assert.rejects(createApi().signIn('ana', 'x'), { message: 'Wrong.' });
  assert.equal(calls.length, 1);
  assert.equal(String(calls[0].body), 'username=ana&password=x');
});

test('an error page that is not JSON is an error still', async (t) => {
  t.mock.method(globalThis, 'fetch', async () => new Response('<h1>Bad gateway</h1>', { status: 502 }));
  await assert.rejects(createApi().me(), { status: 502 });
  t.mock.method(globalThis, 'fetch', async () => new Response('<h1>Hello</h1>', { status: 200 }));
  await assert.rejects(createApi().me(), { status: 200 });
});
