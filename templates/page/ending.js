// How a request ended, in one plain sentence, and its value in words.

import { endedAt } from './state.js';
import { clock } from './time.js';

const RESERVED = { web: 'on the web', api: 'over the API' };

/** "on slack": where somebody answered. */
export const place = (channel) => RESERVED[channel] ?? `on ${channel}`;

/** "Approved by ben on slack at 14:02" */
export function sentence(request, me, from) {
  if (request.status === 'cancelled') return `Cancelled by the asker${when(endedAt(request), from)}`;
  const { outcome } = request;
  if (request.status === 'expired' && !outcome) return `Expired without an answer${when(endedAt(request), from)}`;
  if (!outcome) return 'Ended';
  if (outcome.source === 'on_expiry') {
    const value =
      outcome.value !== null && typeof outcome.value === 'object' && !Array.isArray(outcome.value)
        ? 'the answer below'
        : valueText(request);
    return `Expired without an answer${when(outcome.at, from)}; ${value} stands, as the asker had set for that case`;
  }
  const who = !outcome.by ? 'somebody' : outcome.by.id === me?.id ? 'you' : outcome.by.username;
  const where = outcome.channel ? ` ${place(outcome.channel)}` : '';
  return `${verb(request)} by ${who}${where}${when(outcome.at, from)}`;
}

function when(at, from) {
  if (!at) return '';
  const text = clock(at, from);
  return text.includes(',') ? ` on ${text.replace(', ', ' at ')}` : ` at ${text}`;
}

const verb = ({ kind, outcome }) =>
  kind === 'approval' ? (outcome.value === 'approved' ? 'Approved' : 'Rejected') : 'Answered';

/** good, bad or neutral: the colour and the sign of an ending. */
export function tone({ status, kind, outcome }) {
  if (status !== 'answered') return status === 'cancelled' ? 'neutral' : 'late';
  return kind === 'approval' && outcome?.value === 'rejected' ? 'bad' : 'good';
}

/** The accepted value as short text; labels instead of values where options have them. */
export function valueText({ options = [], outcome }) {
  const label = (value) => options?.find((option) => option.value === value)?.label ?? value;
  const text = (value) => (typeof value === 'string' ? label(value) : JSON.stringify(value));
  return Array.isArray(outcome.value) ? outcome.value.map(text).join(', ') : text(outcome.value);
}
