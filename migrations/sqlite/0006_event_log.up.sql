-- The number of the newest event, in one row: it outlives events that are removed, and may be moved on.
CREATE TABLE event_log (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    head INTEGER NOT NULL
) STRICT;

INSERT INTO event_log (id, head) SELECT 1, coalesce(max(id), 0) FROM events;
