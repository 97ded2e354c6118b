-- The log tells what becomes of deliveries and responses, and is read by request.

ALTER TABLE events ADD COLUMN subject uuid; -- the delivery or the response that it is about
ALTER TABLE events DROP CONSTRAINT events_kind;
ALTER TABLE events ADD CONSTRAINT events_kind
    CHECK (kind IN ('created', 'undeliverable', 'ended', 'delivery', 'response'));
ALTER TABLE events ADD CONSTRAINT events_subject
    CHECK ((kind IN ('delivery', 'response')) = (subject IS NOT NULL));

CREATE INDEX events_of_request ON events (request_id, id);
