ALTER TABLE events RENAME TO old_events;

-- The writer gives the ids, in commit order and without gaps.
CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('created', 'undeliverable', 'ended')),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16)
) STRICT;

-- The newest event stays, whatever it tells, or its place would be given again: as one that nobody reads.
INSERT INTO events (id, at, kind, request_id)
    SELECT id, at, CASE WHEN subject IS NULL THEN kind ELSE 'undeliverable' END, request_id FROM old_events
    WHERE subject IS NULL OR id = (SELECT max(id) FROM old_events);
DELETE FROM event_readers WHERE event_id IN (SELECT id FROM old_events WHERE subject IS NOT NULL);
DROP TABLE old_events;
