-- Numbers go on from the newest event, so that nobody takes a new one for one that they have read.
DELETE FROM event_readers WHERE event_id IN (SELECT id FROM events WHERE kind = 'undeliverable');
DELETE FROM events WHERE kind = 'undeliverable';
ALTER TABLE events DROP CONSTRAINT events_kind;
ALTER TABLE events ADD CONSTRAINT events_kind CHECK (kind IN ('created', 'ended'));

DROP INDEX deliveries_due;
DROP INDEX deliveries_held;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_due_at;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_not_before;
-- What is held comes due by itself.
UPDATE deliveries SET due_at = not_before, reason = NULL WHERE not_before IS NOT NULL;
ALTER TABLE deliveries DROP COLUMN not_before;
ALTER TABLE deliveries DROP COLUMN in_doubt;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_due_at
    CHECK ((status IN ('queued', 'sending')) = (due_at IS NOT NULL));
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE status IN ('queued', 'sending');

DROP INDEX asked_route_due;
ALTER TABLE asked DROP COLUMN route_exhausted;
ALTER TABLE asked DROP COLUMN route_rounds;
ALTER TABLE asked DROP COLUMN route_lease;
ALTER TABLE asked DROP COLUMN route_due_at;
ALTER TABLE feedback_requests DROP COLUMN undeliverable_at;
