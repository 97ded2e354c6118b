-- What askers are told at their URL. A row comes with the event that it tells of, and is written off by its last
-- attempt.
CREATE TABLE callbacks (
    id           uuid   NOT NULL PRIMARY KEY,
    request_id   uuid   NOT NULL REFERENCES feedback_requests (id),
    token_id     uuid   NOT NULL,                                       -- no reference: a token may be forgotten
    url          text   NOT NULL,
    kind         text   NOT NULL CHECK (kind IN
                 ('feedback.undeliverable', 'feedback.answered', 'feedback.expired', 'feedback.cancelled')),
    created_at   bigint NOT NULL,
    status       text   NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'delivered', 'failed', 'disabled')),
    due_at       bigint,                                                -- when it is to be made, or the lease on that
    attempts     bigint NOT NULL DEFAULT 0,
    last_error   text,
    delivered_at bigint,
    CHECK ((status = 'queued') = (due_at IS NOT NULL)),
    CHECK ((status = 'delivered') = (delivered_at IS NOT NULL))
);

CREATE INDEX callbacks_of_request ON callbacks (request_id, id);
CREATE INDEX callbacks_due ON callbacks (due_at, id) WHERE due_at IS NOT NULL;

-- Where a receiver has answered 410: it is not called on behalf of this token any more.
CREATE TABLE disabled_receivers (
    token_id uuid NOT NULL,
    url      text NOT NULL,
    PRIMARY KEY (token_id, url)
);
