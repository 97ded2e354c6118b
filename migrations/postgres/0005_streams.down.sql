-- Numbers go on from the newest event, so that nobody takes a new one for one that they have read.
DROP INDEX events_of_request;
DELETE FROM event_readers WHERE event_id IN (SELECT id FROM events WHERE subject IS NOT NULL);
DELETE FROM events WHERE subject IS NOT NULL;
ALTER TABLE events DROP COLUMN subject;
ALTER TABLE events DROP CONSTRAINT events_kind;
ALTER TABLE events ADD CONSTRAINT events_kind CHECK (kind IN ('created', 'undeliverable', 'ended'));
