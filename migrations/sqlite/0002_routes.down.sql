-- If the newest event is dropped here, the next one gets its id: whoever had read that far misses one event.
DELETE FROM event_readers WHERE event_id IN (SELECT id FROM events WHERE kind = 'undeliverable');
ALTER TABLE events RENAME TO old_events;

CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('created', 'ended')),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16)
) STRICT;

INSERT INTO events (id, at, kind, request_id)
    SELECT id, at, kind, request_id FROM old_events WHERE kind <> 'undeliverable';
DROP TABLE old_events;

DROP INDEX deliveries_of_request;
DROP INDEX deliveries_due;
DROP INDEX deliveries_held;
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
    receipt       TEXT,
    reason        TEXT,
    settle_due_at INTEGER,                                  -- when its person is to be told of the end, or the lease on that
    settle_tries  INTEGER NOT NULL DEFAULT 0,
    CHECK ((status IN ('queued', 'sending')) = (due_at IS NOT NULL)),
    CHECK (status NOT IN ('sent', 'delivered', 'read') OR receipt IS NOT NULL),
    CHECK (status NOT IN ('failed', 'skipped', 'unknown') OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- What is held comes due by itself.
INSERT INTO deliveries
    (id, request_id, user_id, channel, address, status, due_at, receipt, reason, settle_due_at, settle_tries)
    SELECT id, request_id, user_id, channel, address, status, coalesce(due_at, not_before), receipt,
        CASE WHEN not_before IS NULL THEN reason END, settle_due_at, settle_tries
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
-- The channel stands in it for the count of what waits.
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE status IN ('queued', 'sending');
CREATE INDEX deliveries_settle_due ON deliveries (settle_due_at, id) WHERE settle_due_at IS NOT NULL;
CREATE INDEX deliveries_out ON deliveries (channel, address, receipt) WHERE status IN ('sent', 'delivered', 'read');
CREATE INDEX deliveries_skipped ON deliveries (channel, address) WHERE status = 'skipped';
CREATE INDEX deliveries_failed ON deliveries (channel) WHERE status = 'failed';

DROP INDEX asked_route_due;
ALTER TABLE asked DROP COLUMN route_exhausted;
ALTER TABLE asked DROP COLUMN route_rounds;
ALTER TABLE asked DROP COLUMN route_lease;
ALTER TABLE asked DROP COLUMN route_due_at;
ALTER TABLE feedback_requests DROP COLUMN undeliverable_at;
