-- Routes go on: when each is looked at next, what waits for its next round, and the event that nobody can be reached.
--
-- A CHECK can only be changed by making its table anew. The old tables are renamed first and dropped children first,
-- so that no reference is ever without its row: references cannot be switched off within a transaction.

ALTER TABLE feedback_requests ADD COLUMN undeliverable_at INTEGER; -- when it was told that nobody can be reached

-- When it is looked at next; while it is looked at, not before the lease on that runs out, unless something hastens it.
ALTER TABLE asked ADD COLUMN route_due_at INTEGER CHECK (route_due_at IS NULL OR status = 'pending');
ALTER TABLE asked ADD COLUMN route_lease INTEGER CHECK (route_lease IS NULL OR route_due_at <= route_lease);
ALTER TABLE asked ADD COLUMN route_rounds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE asked ADD COLUMN route_exhausted INTEGER NOT NULL DEFAULT 0 CHECK (route_exhausted IN (0, 1));
UPDATE asked SET route_exhausted = NOT EXISTS (
    SELECT 1 FROM feedback_requests r CROSS JOIN deliveries d ON d.request_id = r.id
    WHERE r.created_event = asked.created_event AND d.user_id = asked.user_id
) WHERE status = 'pending';

CREATE INDEX asked_route_due ON asked (route_due_at, created_event, user_id) WHERE route_due_at IS NOT NULL;

DROP INDEX deliveries_of_request;
DROP INDEX deliveries_due;
DROP INDEX deliveries_settle_due;
DROP INDEX deliveries_out;
DROP INDEX deliveries_skipped;
DROP INDEX deliveries_failed;
ALTER TABLE attempts RENAME TO old_attempts;
ALTER TABLE deliveries RENAME TO old_deliveries;

CREATE TABLE deliveries (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    request_id    BLOB    NOT NULL REFERENCES feedback_requests (id),
    user_id       BLOB    NOT NULL REFERENCES users (id),
    channel       TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN
                  ('queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'skipped', 'unknown', 'settled')),
    due_at        INTEGER,                                  -- queued: not before; sending: when the lease runs out
    not_before    INTEGER,                                  -- queued, but held for the next round: not before this
    receipt       TEXT,
    reason        TEXT,
    in_doubt      INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)), -- an attempt may have arrived without a receipt
    settle_due_at INTEGER,                                  -- when its person is to be told of the end, or the lease on that
    settle_tries  INTEGER NOT NULL DEFAULT 0,
    CHECK (not_before IS NULL OR (status = 'queued' AND reason IS NOT NULL)),
    CHECK ((status IN ('queued', 'sending') AND not_before IS NULL) = (due_at IS NOT NULL)),
    CHECK (status NOT IN ('sent', 'delivered', 'read') OR receipt IS NOT NULL),
    CHECK (status NOT IN ('failed', 'skipped', 'unknown') OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

INSERT INTO deliveries
    (id, request_id, user_id, channel, address, status, due_at, receipt, reason, settle_due_at, settle_tries)
    SELECT id, request_id, user_id, channel, address, status, due_at, receipt, reason, settle_due_at, settle_tries
    FROM old_deliveries;

CREATE TABLE attempts (
    delivery_id BLOB    NOT NULL REFERENCES deliveries (id),
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    error       TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

INSERT INTO attempts (delivery_id, number, at, error) SELECT delivery_id, number, at, error FROM old_attempts;
DROP TABLE old_attempts;
DROP TABLE old_deliveries;

CREATE INDEX deliveries_of_request ON deliveries (request_id, id);
-- The channel stands in it for the count of what waits. What is held waits for its route, not for its time.
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_held ON deliveries (channel) WHERE not_before IS NOT NULL;
CREATE INDEX deliveries_settle_due ON deliveries (settle_due_at, id) WHERE settle_due_at IS NOT NULL;
CREATE INDEX deliveries_out ON deliveries (channel, address, receipt) WHERE status IN ('sent', 'delivered', 'read');
CREATE INDEX deliveries_skipped ON deliveries (channel, address) WHERE status = 'skipped';
CREATE INDEX deliveries_failed ON deliveries (channel) WHERE status = 'failed';

ALTER TABLE events RENAME TO old_events;

-- The writer gives the ids, in commit order and without gaps.
CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('created', 'undeliverable', 'ended')),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16)
) STRICT;

INSERT INTO events (id, at, kind, request_id) SELECT id, at, kind, request_id FROM old_events;
DROP TABLE old_events;
