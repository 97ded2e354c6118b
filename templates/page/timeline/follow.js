// Looks at something again and again while it may change and somebody can see it.

export const BEAT = 5000;
/** After the end the other deliveries are settled, within moments: so often it is looked at once more. */
const LAST_LOOKS = 2;

/**
 * look(): looks once, and answers after how many milliseconds at the earliest to look again (Infinity: never by
 * itself) · pending(): whether it may still change. Looks at once, and never twice at the same time.
 */
export function follow({ look, pending, document = globalThis.document }) {
  let timer = null;
  let looking = false;
  let again = false;
  let stopped = false;
  let left = 0;

  async function now() {
    clearTimeout(timer);
    if (stopped) return;
    // What is told during a look may have come too late for it.
    if (looking) return void (again = true);
    looking = true;
    let pause;
    try {
      do {
        again = false;
        left = pending() ? LAST_LOOKS + 1 : Math.max(0, left - 1);
        pause = await look();
      } while (again && !stopped);
    } finally {
      looking = false;
    }
    later(Math.max(BEAT, pause ?? 0));
  }

  const goesOn = () => pending() || left > 0;

  function later(pause) {
    clearTimeout(timer);
    if (stopped || !goesOn() || document.visibilityState !== 'visible' || !Number.isFinite(pause)) return;
    timer = setTimeout(now, pause);
  }

  function turned() {
    if (document.visibilityState !== 'visible') clearTimeout(timer);
    else if (goesOn()) now();
  }
  document.addEventListener('visibilitychange', turned);
  now();

  return {
    now,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', turned);
    },
  };
}
