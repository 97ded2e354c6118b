// Checks of text that the hub makes as well. The hub's word counts; these only save a round trip.

/** Length as the hub counts it: Unicode scalar values, not UTF-16 units. */
export const length = (text) => Array.from(text).length;

/**
 * Whether a text fits a pattern, or null where that is better left to the hub: its expressions and the browser's
 * differ in classes such as \w for letters beyond ASCII and in some syntax.
 */
export function fits(pattern, text) {
  if (/\(\?(?!:)|\[\[|&&|\\[pPAzZhGKRX]/.test(pattern)) return null;
  if (/\\[wWdDsSbB]/.test(pattern) && /[^\x00-\x7f]/.test(text)) return null;
  try {
    return new RegExp(pattern, 'u').test(text);
  } catch {
    return null;
  }
}

/** What is wrong with a text, in a sentence, or null. */
export function textErrors(text, { min, max, pattern, kind }) {
  const size = length(text);
  if (size < (min ?? 0)) return `At least ${min} ${min === 1 ? 'character' : 'characters'}; this has ${size}.`;
  if (size > (max ?? Infinity)) return `At most ${max} ${max === 1 ? 'character' : 'characters'}; this has ${size}.`;
  if (pattern && fits(pattern, text) === false) return `This must match ${pattern}`;
  if (kind === 'email' && !/^[^\s@]+@[^\s@]+$/.test(text)) return 'This is not an e-mail address.';
  if (kind === 'date' && !/^\d{4}-\d{2}-\d{2}$/.test(text)) return 'Write the date as 2026-01-31.';
  return null;
}
