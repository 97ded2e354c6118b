// Requests and messages for the tests, as the hub writes them.

export const ANA = { id: 'u-ana', username: 'ana' };
export const BEN = { id: 'u-ben', username: 'ben' };

export const pending = (id, more = {}) => ({
  id,
  status: 'pending',
  kind: 'approval',
  prompt: `Question ${id}?`,
  context: null,
  to: [ANA, BEN],
  urgent: false,
  asker: { ...BEN, token: 'bot' },
  created_at: '2026-11-21T09:00:00Z',
  expires_at: '2026-11-21T10:00:00Z',
  on_expiry: null,
  outcome: null,
  ...more,
});

export const answered = (id, more = {}) =>
  pending(id, {
    status: 'answered',
    outcome: {
      value: 'approved',
      comment: null,
      by: BEN,
      channel: 'slack',
      at: '2026-11-21T09:30:00Z',
      source: 'person',
    },
    ...more,
  });

export const asks = (event_id, request) => ({ type: 'feedback_request', event_id: String(event_id), request });
export const settles = (event_id, request) => ({ type: 'feedback_settled', event_id: String(event_id), request });
export const established = (after) => ({ type: 'connection_established', after, user: ANA });
