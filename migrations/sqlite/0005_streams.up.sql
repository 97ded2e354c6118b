-- The log tells what becomes of deliveries and responses, and is read by request.
--
-- A CHECK can only be changed by making its table anew.

ALTER TABLE events RENAME TO old_events;

-- The writer gives the ids, in commit order and without gaps. Old ones go, from the beginning.
CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('created', 'undeliverable', 'ended', 'delivery', 'response')),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16),
    subject    BLOB    CHECK (length(subject) = 16),            -- the delivery or the response that it is about
    CHECK ((kind IN ('delivery', 'response')) = (subject IS NOT NULL))
) STRICT;

INSERT INTO events (id, at, kind, request_id) SELECT id, at, kind, request_id FROM old_events;
DROP TABLE old_events;

CREATE INDEX events_of_request ON events (request_id, id);
