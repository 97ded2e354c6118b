-- The same tables as on SQLite, in PostgreSQL's types. Ids are UUIDv7, times microseconds since 1970 in UTC, JSON is text.

CREATE TABLE users (
    id              uuid    NOT NULL PRIMARY KEY,
    username        text    NOT NULL UNIQUE CHECK (username = lower(username) AND username <> ''),
    email           text    NOT NULL UNIQUE CHECK (email = lower(email) AND email <> ''),
    email_confirmed boolean NOT NULL,
    password        text,  -- argon2id in PHC form; none: the account cannot sign in
    role            text    NOT NULL CHECK (role IN ('administrator', 'member')),
    preference      text    NOT NULL DEFAULT '[]' CHECK (preference::json IS NOT NULL),  -- names of channels, best first
    created_at      bigint  NOT NULL
);

CREATE TABLE addresses (
    user_id   uuid    NOT NULL REFERENCES users (id),
    channel   text    NOT NULL,
    address   text    NOT NULL,
    confirmed boolean NOT NULL,
    PRIMARY KEY (user_id, channel, address)
);

-- A confirmed address is one person's; the same one may wait for its confirmation with several.
CREATE UNIQUE INDEX addresses_confirmed ON addresses (channel, address) WHERE confirmed;

CREATE TABLE service_tokens (
    id             uuid    NOT NULL PRIMARY KEY,
    user_id        uuid    NOT NULL REFERENCES users (id),
    name           text    NOT NULL,
    scopes         text    NOT NULL CHECK (scopes::json IS NOT NULL),
    hash           bytea   NOT NULL UNIQUE CHECK (octet_length(hash) = 32),  -- SHA-256 of the token
    webhook_secret bytea   NOT NULL,  -- sealed
    created_at     bigint  NOT NULL,
    expires_at     bigint,
    last_used_at   bigint,
    revoked_at     bigint
);

CREATE INDEX service_tokens_of_user ON service_tokens (user_id, id) WHERE revoked_at IS NULL;

-- A sign-in is a family of refresh tokens, of which one is unused. To end it is to delete it.
CREATE TABLE sign_ins (
    id         uuid   NOT NULL PRIMARY KEY,
    user_id    uuid   NOT NULL REFERENCES users (id),
    expires_at bigint NOT NULL  -- when its unused token ceases to work
);

CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

-- Used tokens stay until they would have expired, so that a copy of one is recognised.
CREATE TABLE refresh_tokens (
    hash       bytea   NOT NULL PRIMARY KEY CHECK (octet_length(hash) = 32),
    sign_in_id uuid    NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    created_at bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    used       boolean NOT NULL DEFAULT FALSE
);

CREATE INDEX refresh_tokens_of_sign_in ON refresh_tokens (sign_in_id, expires_at);

-- Terms can be large, so the rows are kept by a number, which grows: that of the event of their creation.
CREATE TABLE feedback_requests (
    created_event    bigint  NOT NULL PRIMARY KEY,
    id               uuid    NOT NULL UNIQUE,
    asker_user_id    uuid    NOT NULL REFERENCES users (id),
    asker_username   text    NOT NULL,  -- as it was, like everything else that was asked
    asker_token_id   uuid,  -- no reference: a token may be forgotten, what it asked stays
    asker_token_name text,
    terms            text    NOT NULL,  -- immutable
    status           text    NOT NULL CHECK (status IN ('pending', 'answered', 'expired', 'cancelled')),
    created_at       bigint  NOT NULL,
    expires_at       bigint  NOT NULL,
    ended_at         bigint,
    outcome          text,
    CHECK ((asker_token_id IS NULL) = (asker_token_name IS NULL)),
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    CHECK (status <> 'answered' OR outcome IS NOT NULL)
);

CREATE INDEX feedback_requests_deadline ON feedback_requests (expires_at) WHERE status = 'pending';
-- Lists are walked by whose, status and age; a list of every status merges the four.
CREATE INDEX feedback_requests_of_user ON feedback_requests (asker_user_id, status, created_event);
CREATE INDEX feedback_requests_of_token ON feedback_requests (asker_token_id, status, created_event)
    WHERE asker_token_id IS NOT NULL;

-- What follows a request by its number or beside its event refers to it without REFERENCES: the writer puts both into
-- one transaction.

-- Who is asked what. The status is the request's, so that what waits for a person is found at once.
CREATE TABLE asked (
    user_id       uuid   NOT NULL REFERENCES users (id),
    status        text   NOT NULL CHECK (status IN ('pending', 'answered', 'expired', 'cancelled')),
    created_event bigint NOT NULL,
    PRIMARY KEY (user_id, status, created_event)
);

CREATE TABLE deliveries (
    id            uuid    NOT NULL PRIMARY KEY,
    request_id    uuid    NOT NULL REFERENCES feedback_requests (id),
    user_id       uuid    NOT NULL REFERENCES users (id),
    channel       text    NOT NULL,
    address       text    NOT NULL,
    status        text    NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'skipped', 'unknown', 'settled')),
    due_at        bigint,  -- queued: not before; sending: when the lease runs out
    receipt       text,
    reason        text,
    settle_due_at bigint,  -- when its person is to be told of the end, or the lease on that
    settle_tries  bigint  NOT NULL DEFAULT 0,
    CONSTRAINT deliveries_due_at CHECK ((status IN ('queued', 'sending')) = (due_at IS NOT NULL)),
    CHECK (status NOT IN ('sent', 'delivered', 'read') OR receipt IS NOT NULL),
    CHECK (status NOT IN ('failed', 'skipped', 'unknown') OR reason IS NOT NULL)
);

CREATE INDEX deliveries_of_request ON deliveries (request_id, id);
-- The channel stands in it for the count of what waits.
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE status IN ('queued', 'sending');
CREATE INDEX deliveries_settle_due ON deliveries (settle_due_at, id) WHERE settle_due_at IS NOT NULL;
CREATE INDEX deliveries_out ON deliveries (channel, address, receipt) WHERE status IN ('sent', 'delivered', 'read');
CREATE INDEX deliveries_skipped ON deliveries (channel, address) WHERE status = 'skipped';
CREATE INDEX deliveries_failed ON deliveries (channel) WHERE status = 'failed';

CREATE TABLE attempts (
    delivery_id uuid   NOT NULL REFERENCES deliveries (id),
    number      bigint NOT NULL,
    at          bigint NOT NULL,
    error       text,
    PRIMARY KEY (delivery_id, number)
);

CREATE TABLE responses (
    id          uuid   NOT NULL,
    request_id  uuid   NOT NULL REFERENCES feedback_requests (id),
    by_user_id  uuid   REFERENCES users (id),
    by_username text,
    channel     text   NOT NULL,
    event       text,  -- the provider's own id of what it told the hub
    value       text   NOT NULL,
    comment     text,
    verdict     text   NOT NULL CHECK (verdict IN ('accepted', 'invalid', 'late', 'refused')),
    reason      text,
    at          bigint NOT NULL,
    PRIMARY KEY (request_id, id),
    CHECK ((by_user_id IS NULL) = (by_username IS NULL))
);

CREATE UNIQUE INDEX responses_event ON responses (channel, event) WHERE event IS NOT NULL;

-- The writers give the ids, in commit order and without gaps.
CREATE TABLE events (
    id         bigint NOT NULL PRIMARY KEY,
    at         bigint NOT NULL,
    kind       text   NOT NULL CONSTRAINT events_kind CHECK (kind IN ('created', 'ended')),
    request_id uuid   NOT NULL
);

-- Whom an event concerns: people by their id, service tokens by theirs.
CREATE TABLE event_readers (
    reader   uuid   NOT NULL,
    event_id bigint NOT NULL,
    PRIMARY KEY (reader, event_id)
);

-- What a repeated creation is answered with: the request that it made, or a sealed answer.
CREATE TABLE idempotency (
    key         bytea  NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
    fingerprint bytea  NOT NULL CHECK (octet_length(fingerprint) = 32),
    request_id  uuid,
    sealed      bytea,
    at          bigint NOT NULL,
    CHECK ((request_id IS NULL) <> (sealed IS NULL))
);

CREATE INDEX idempotency_age ON idempotency (at);

-- Secrets of channels. The keys are not secret.
CREATE TABLE vault (
    key     text   NOT NULL PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    sealed  bytea  NOT NULL
);
