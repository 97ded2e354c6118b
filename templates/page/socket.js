// The live connection to the hub: resumes after a cut, notices a dead line, and tries again with growing pauses.

import { ack, decode, ping } from './protocol.js';

const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

/** 0.5 s, doubling to 15 s, of which the last half is left to chance. */
export const pause = (tries, chance = Math.random()) =>
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries) * (0.5 + chance / 2);

/**
 * url(): where to connect, with the place to resume from · prepare(): renews the sign-in, answers false when there is
 * none any more · onMessage(message) · onPhase('connecting' | 'online' | 'offline')
 */
export function createSocket({ url, prepare, onMessage, onPhase, WebSocket = globalThis.WebSocket }) {
  let line = null;
  let tries = 0;
  let waiting = null;
  let opening = false;
  let stopped = true;
  let pinger, deadline;

  async function open() {
    clearTimeout(waiting);
    waiting = null;
    if (stopped || line || opening) return;
    opening = true;
    try {
      // A refused handshake tells a browser nothing, so the sign-in is looked at first, over HTTP.
      if ((await prepare()) === false) return stop();
      if (!stopped) connect();
    } catch {
      later();
    } finally {
      opening = false;
    }
  }

  function connect() {
    const mine = (line = new WebSocket(url()));
    // A handshake that hangs is a cut, too.
    deadline = setTimeout(() => lost(mine), PONG_WITHIN);
    mine.onmessage = ({ data }) => mine === line && receive(mine, data);
    mine.onclose = mine.onerror = () => lost(mine);
  }

  function receive(mine, data) {
    const message = decode(data);
    if (!message) return;
    if (message.type === 'connection_established') {
      tries = 0;
      clearTimeout(deadline);
      deadline = null;
      clearInterval(pinger);
      pinger = setInterval(probe, PING_EVERY);
      onPhase('online');
    }
    if (message.type === 'pong') {
      clearTimeout(deadline);
      deadline = null;
    }
    onMessage(message);
    if (message.type === 'feedback_request') say(ack(message.event_id));
    if (message.type === 'error' && message.code === 'cursor') lost(mine);
  }

  function probe() {
    if (!line || deadline) return;
    const mine = line;
    deadline = setTimeout(() => lost(mine), PONG_WITHIN);
    say(ping());
  }

  const say = (message) => line?.readyState === 1 && line.send(JSON.stringify(message));

  function lost(mine) {
    if (mine !== line || !line) return;
    drop();
    later();
  }

  function drop() {
    clearInterval(pinger);
    clearTimeout(deadline);
    deadline = null;
    const old = line;
    line = null;
    if (!old) return;
    old.onmessage = old.onclose = old.onerror = null;
    old.close();
  }

  function later() {
    if (stopped) return;
    onPhase('offline');
    clearTimeout(waiting);
    waiting = setTimeout(open, pause(tries++));
  }

  function stop() {
    stopped = true;
    clearTimeout(waiting);
    waiting = null;
    drop();
  }

  return {
    start() {
      stopped = false;
      tries = 0;
      onPhase('connecting');
      return open();
    },
    stop,
    /** The browser says that the network is back, or the page is looked at again: do not wait for the pause to end. */
    hurry() {
      if (stopped) return;
      tries = 0;
      if (line) probe();
      else open();
    },
    /** The browser says that the network is gone. */
    cut: () => line && lost(line),
  };
}
