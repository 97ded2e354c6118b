-- Routes go on: when each is looked at next, what waits for its next round, and the event that nobody can be reached.

ALTER TABLE feedback_requests ADD COLUMN undeliverable_at bigint; -- when it was told that nobody can be reached

-- When it is looked at next; while it is looked at, not before the lease on that runs out, unless something hastens it.
ALTER TABLE asked ADD COLUMN route_due_at bigint
    CONSTRAINT asked_route_due_at CHECK (route_due_at IS NULL OR status = 'pending');
ALTER TABLE asked ADD COLUMN route_lease bigint
    CONSTRAINT asked_route_lease CHECK (route_lease IS NULL OR route_due_at <= route_lease);
ALTER TABLE asked ADD COLUMN route_rounds bigint NOT NULL DEFAULT 0;
ALTER TABLE asked ADD COLUMN route_exhausted boolean NOT NULL DEFAULT FALSE;
UPDATE asked SET route_exhausted = NOT EXISTS (
    SELECT 1 FROM feedback_requests r JOIN deliveries d ON d.request_id = r.id
    WHERE r.created_event = asked.created_event AND d.user_id = asked.user_id
) WHERE status = 'pending';

CREATE INDEX asked_route_due ON asked (route_due_at, created_event, user_id) WHERE route_due_at IS NOT NULL;

ALTER TABLE deliveries ADD COLUMN not_before bigint; -- queued, but held for the next round: not before this
ALTER TABLE deliveries ADD COLUMN in_doubt boolean NOT NULL DEFAULT FALSE; -- an attempt may have arrived without a receipt
ALTER TABLE deliveries ADD CONSTRAINT deliveries_not_before
    CHECK (not_before IS NULL OR (status = 'queued' AND reason IS NOT NULL));
ALTER TABLE deliveries DROP CONSTRAINT deliveries_due_at;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_due_at
    CHECK ((status IN ('queued', 'sending') AND not_before IS NULL) = (due_at IS NOT NULL));

-- The channel stands in it for the count of what waits. What is held waits for its route, not for its time.
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_held ON deliveries (channel) WHERE not_before IS NOT NULL;

ALTER TABLE events DROP CONSTRAINT events_kind;
ALTER TABLE events ADD CONSTRAINT events_kind CHECK (kind IN ('created', 'undeliverable', 'ended'));
