import assert from 'node:assert/strict';
import test from 'node:test';
import { createSocket, pause } from '../socket.js';
import { asks, established, pending } from './samples.mjs';

class Line {
  static all = [];
  sent = [];
  readyState = 1;
  constructor(url) {
    this.url = url;
    Line.all.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
    this.onclose?.({});
  }
  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const settled = async () => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};

async function start(context, options = {}) {
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  Line.all = [];
  const seen = { phases: [], messages: [] };
  let cursor = null;
  const socket = createSocket({
    url: () => `ws://hub/ws${cursor ? `?after=${cursor}` : ''}`,
    prepare: async () => true,
    onMessage: (message) => {
      seen.messages.push(message);
      if (message.event_id) cursor = message.event_id;
    },
    onPhase: (phase) => seen.phases.push(phase),
    WebSocket: Line,
    ...options,
  });
  socket.start();
  await settled();
  const tick = async (ms) => {
    context.mock.timers.tick(ms);
    await settled();
  };
  return { socket, seen, tick, line: () => Line.all.at(-1) };
}

test('acknowledges each request, and resumes after the last event', async (t) => {
  const { seen, tick, line } = await start(t);
  line().say(established('0'));
  line().say(asks('17', pending('a')));
  assert.deepEqual(line().sent, [{ type: 'ack', event_id: '17' }]);
  line().close();
  assert.deepEqual(seen.phases, ['connecting', 'online', 'offline']);
  await tick(500);
  assert.equal(line().url, 'ws://hub/ws?after=17');
  line().say(established('17'));
  assert.equal(seen.phases.at(-1), 'online');
});

test('no pong within ten seconds is a cut', async (t) => {
  const { seen, tick, line } = await start(t);
  line().say(established('0'));
  await tick(25_000);
  assert.deepEqual(line().sent, [{ type: 'ping' }]);
  line().say({ type: 'pong' });
  await tick(10_000);
  assert.equal(seen.phases.at(-1), 'online');
  await tick(15_000);
  await tick(10_000);
  assert.equal(seen.phases.at(-1), 'offline');
});

test('a handshake that hangs is a cut, too', async (t) => {
  const { seen, tick } = await start(t);
  await tick(10_000);
  assert.equal(seen.phases.at(-1), 'offline');
});

test('an unknown cursor closes the line, to begin again', async (t) => {
  const { tick, line } = await start(t);
  line().say(established('0'));
  line().say({ type: 'error', code: 'cursor', message: '' });
  await tick(500);
  assert.equal(Line.all.length, 2);
});

test('a sign-in that is gone ends the trying', async (t) => {
  const { tick } = await start(t, { prepare: async () => false });
  await tick(60_000);
  assert.equal(Line.all.length, 0);
});

test('a network that is back is tried at once', async (t) => {
  const { socket, line } = await start(t);
  line().say(established('0'));
  socket.cut();
  socket.hurry();
  await settled();
  assert.equal(Line.all.length, 2);
});

test('what cannot be read is passed over', async (t) => {
  const { seen, line } = await start(t);
  line().onmessage({ data: 'nonsense' });
  line().say({ type: 'something_new', event_id: '3' });
  line().say({ type: 'feedback_request', event_id: '4' });
  assert.deepEqual(seen.messages, []);
});

test('pauses double from half a second to fifteen, with jitter', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 20].map((tries) => pause(tries, 1)),
    [500, 1000, 2000, 4000, 8000, 15000, 15000],
  );
  assert.equal(pause(0, 0), 250);
});
