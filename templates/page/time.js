// Words for moments and for the time that is left.

let skew = 0;

/** Learns the hub's clock from an answer's Date header, so that a wrong local clock does not show a wrong deadline. */
export function learnClock(dateHeader, local = Date.now()) {
  const theirs = Date.parse(dateHeader ?? '');
  if (Number.isNaN(theirs)) return;
  const difference = theirs - local;
  // The header has whole seconds and the answer took its time: a small difference means nothing.
  skew = Math.abs(difference) > 5000 ? difference : 0;
}

export const now = () => Date.now() + skew;

const two = (number) => String(number).padStart(2, '0');

/** The time left until `at`, as text and as one of calm, soon, last, over. */
export function countdown(at, from = now()) {
  const left = Math.ceil((Date.parse(at) - from) / 1000);
  if (Number.isNaN(left)) return { text: '', tone: 'calm' };
  if (left <= 0) return { text: 'time is up', tone: 'over' };
  const days = Math.floor(left / 86400);
  const hours = Math.floor((left % 86400) / 3600);
  const minutes = Math.floor((left % 3600) / 60);
  const seconds = left % 60;
  if (days > 0) return { text: `${days} d${hours ? ` ${hours} h` : ''} left`, tone: 'calm' };
  if (hours > 0) return { text: `${hours} h${minutes ? ` ${minutes} min` : ''} left`, tone: 'calm' };
  if (minutes >= 10) return { text: `${minutes} min left`, tone: 'calm' };
  if (minutes > 0) return { text: `${minutes} min ${two(seconds)} s left`, tone: 'soon' };
  return { text: `${seconds} s left`, tone: 'last' };
}

/** "just now", "5 min ago", else the clock time. */
export function ago(at, from = now()) {
  const passed = Math.floor((from - Date.parse(at)) / 1000);
  if (passed < 60) return 'just now';
  if (passed < 3600) return `${Math.floor(passed / 60)} min ago`;
  return clock(at, from);
}

/** "14:02" today, "20 Nov, 14:02" on other days: the local time, with its seconds where asked for. */
export function clock(at, from = now(), { seconds = false } = {}) {
  const moment = new Date(at);
  const time = `${two(moment.getHours())}:${two(moment.getMinutes())}${seconds ? `:${two(moment.getSeconds())}` : ''}`;
  if (moment.toDateString() === new Date(from).toDateString()) return time;
  const sameYear = moment.getFullYear() === new Date(from).getFullYear();
  const day = moment.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: sameYear ? undefined : 'numeric',
  });
  return `${day}, ${time}`;
}

/** The exact local time with its zone, for titles. */
export const exact = (at) => new Date(at).toLocaleString('en-GB', { dateStyle: 'full', timeStyle: 'long' });

const watchers = new Set();
let timer;

/** Calls `watcher` every second until it answers false. One timer serves all. */
export function everySecond(watcher) {
  watchers.add(watcher);
  timer ??= setInterval(() => {
    for (const each of watchers) if (each() === false) watchers.delete(each);
    if (watchers.size === 0) timer = clearInterval(timer);
  }, 1000);
}
