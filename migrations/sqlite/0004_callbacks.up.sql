-- What askers are told at their URL. A row comes with the event that it tells of, and is written off by its last
-- attempt.
CREATE TABLE callbacks (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    request_id   BLOB    NOT NULL REFERENCES feedback_requests (id),
    token_id     BLOB    NOT NULL CHECK (length(token_id) = 16),        -- no reference: a token may be forgotten
    url          TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN
                 ('feedback.undeliverable', 'feedback.answered', 'feedback.expired', 'feedback.cancelled')),
    created_at   INTEGER NOT NULL,
    status       TEXT    NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'delivered', 'failed', 'disabled')),
    due_at       INTEGER,                                               -- when it is to be made, or the lease on that
    attempts     INTEGER NOT NULL DEFAULT 0,
    last_error   TEXT,
    delivered_at INTEGER,
    CHECK ((status = 'queued') = (due_at IS NOT NULL)),
    CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX callbacks_of_request ON callbacks (request_id, id);
CREATE INDEX callbacks_due ON callbacks (due_at, id) WHERE due_at IS NOT NULL;

-- Where a receiver has answered 410: it is not called on behalf of this token any more.
CREATE TABLE disabled_receivers (
    token_id BLOB NOT NULL CHECK (length(token_id) = 16),
    url      TEXT NOT NULL,
    PRIMARY KEY (token_id, url)
) STRICT, WITHOUT ROWID;
