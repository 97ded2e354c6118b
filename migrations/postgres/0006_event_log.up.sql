-- The number of the newest event, in one row: it outlives events that are removed, and may be moved on. Whoever writes locks
-- it from the beginning of the transaction to the commit, so that numbers follow commits.
CREATE TABLE event_log (
    head bigint NOT NULL
);

CREATE UNIQUE INDEX event_log_has_one_row ON event_log ((TRUE));
INSERT INTO event_log (head) SELECT coalesce(max(id), 0) FROM events;
