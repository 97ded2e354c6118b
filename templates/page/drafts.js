// Unsent text, kept in the browser per person and request until the answer is accepted or the person signs out.

const PREFIX = 'hearback.draft.';
const KEEP_DAYS = 30;

export function createDrafts(storage, userId, clock = Date.now) {
  const mine = `${PREFIX}${userId}.`;

  // A browser may refuse storage (private windows, a full disk); writing an answer must go on without it.
  const quietly = (action, otherwise) => {
    try {
      return action();
    } catch {
      return otherwise;
    }
  };
  const keys = () =>
    quietly(() => Array.from({ length: storage.length }, (_, i) => storage.key(i)), []).filter((key) =>
      key?.startsWith(mine),
    );

  const drafts = {
    /** {value, comment} or null. What `value` holds is the question control's own business. */
    read(requestId) {
      return quietly(() => {
        const { value, comment } = JSON.parse(storage.getItem(mine + requestId));
        return { value: value ?? null, comment: comment ?? '' };
      }, null);
    },
    write(requestId, draft) {
      if (blank(draft.value) && !draft.comment) return drafts.remove(requestId);
      quietly(() => storage.setItem(mine + requestId, JSON.stringify({ ...draft, at: clock() })));
    },
    remove: (requestId) => quietly(() => storage.removeItem(mine + requestId)),
    removeAll: () => keys().forEach((key) => quietly(() => storage.removeItem(key))),
    /** Forgets what nobody came back to. */
    prune() {
      for (const key of keys()) {
        const at = quietly(() => JSON.parse(storage.getItem(key)).at, 0);
        if (!(at > clock() - KEEP_DAYS * 86400_000)) quietly(() => storage.removeItem(key));
      }
    },
  };
  return drafts;
}

/** Nothing in it that somebody typed or chose. */
export function blank(value) {
  if (value === null || value === undefined || value === '' || value === false) return true;
  if (typeof value === 'object') return Object.values(value).every(blank);
  return false;
}
