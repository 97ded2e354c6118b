-- Ids are UUIDv7 as 16 bytes, times microseconds since 1970 in UTC, JSON is text.

CREATE TABLE users (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    username        TEXT    NOT NULL UNIQUE CHECK (username = lower(username) AND username <> ''),
    email           TEXT    NOT NULL UNIQUE CHECK (email = lower(email) AND email <> ''),
    email_confirmed INTEGER NOT NULL CHECK (email_confirmed IN (0, 1)),
    password        TEXT,                                   -- argon2id in PHC form; none: the account cannot sign in
    role            TEXT    NOT NULL CHECK (role IN ('administrator', 'member')),
    preference      TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(preference)), -- names of channels, best first
    created_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE addresses (
    user_id   BLOB    NOT NULL REFERENCES users (id),
    channel   TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    PRIMARY KEY (user_id, channel, address)
) STRICT, WITHOUT ROWID;

-- A confirmed address is one person's; the same one may wait for its confirmation with several.
CREATE UNIQUE INDEX addresses_confirmed ON addresses (channel, address) WHERE confirmed = 1;

CREATE TABLE service_tokens (
    id             BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id        BLOB    NOT NULL REFERENCES users (id),
    name           TEXT    NOT NULL,
    scopes         TEXT    NOT NULL CHECK (json_valid(scopes)),
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),   -- SHA-256 of the token
    webhook_secret BLOB    NOT NULL,                                    -- sealed
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    last_used_at   INTEGER,
    revoked_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX service_tokens_of_user ON service_tokens (user_id, id) WHERE revoked_at IS NULL;

-- A sign-in is a family of refresh tokens, of which one is unused. To end it is to delete it.
CREATE TABLE sign_ins (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    user_id    BLOB    NOT NULL REFERENCES users (id),
    expires_at INTEGER NOT NULL                                         -- when its unused token ceases to work
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_ins_expiry ON sign_ins (expires_at);

-- Used tokens stay until they would have expired, so that a copy of one is recognised.
CREATE TABLE refresh_tokens (
    hash       BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    sign_in_id BLOB    NOT NULL REFERENCES sign_ins (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0 CHECK (used IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_of_sign_in ON refresh_tokens (sign_in_id, expires_at);

-- Terms can be large, so the rows are kept by a number, which grows: that of the event of their creation.
CREATE TABLE feedback_requests (
    created_event    INTEGER NOT NULL PRIMARY KEY,
    id               BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    asker_user_id    BLOB    NOT NULL REFERENCES users (id),
    asker_username   TEXT    NOT NULL,                      -- as it was, like everything else that was asked
    asker_token_id   BLOB,                                  -- no reference: a token may be forgotten, what it asked stays
    asker_token_name TEXT,
    terms            TEXT    NOT NULL,                      -- immutable
    status           TEXT    NOT NULL CHECK (status IN ('pending', 'answered', 'expired', 'cancelled')),
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    ended_at         INTEGER,
    outcome          TEXT,
    CHECK ((asker_token_id IS NULL) = (asker_token_name IS NULL)),
    CHECK ((status = 'pending') = (ended_at IS NULL)),
    CHECK (status <> 'answered' OR outcome IS NOT NULL)
) STRICT;

CREATE INDEX feedback_requests_deadline ON feedback_requests (expires_at) WHERE status = 'pending';
-- Lists are walked by whose, status and age; a list of every status merges the four.
CREATE INDEX feedback_requests_of_user ON feedback_requests (asker_user_id, status, created_event);
CREATE INDEX feedback_requests_of_token ON feedback_requests (asker_token_id, status, created_event)
    WHERE asker_token_id IS NOT NULL;

-- What follows a request by its number or beside its event refers to it without REFERENCES: the writer puts both into
-- one transaction, and a reference that no index serves backwards would make SQLite look through the whole table.

-- Who is asked what. The status is the request's, so that what waits for a person is found at once.
CREATE TABLE asked (
    user_id       BLOB    NOT NULL REFERENCES users (id),
    status        TEXT    NOT NULL CHECK (status IN ('pending', 'answered', 'expired', 'cancelled')),
    created_event INTEGER NOT NULL,
    PRIMARY KEY (user_id, status, created_event)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    request_id    BLOB    NOT NULL REFERENCES feedback_requests (id),
    user_id       BLOB    NOT NULL REFERENCES users (id),
    channel       TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN
                  ('queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'skipped', 'unknown', 'settled')),
    due_at        INTEGER,                                  -- queued: not before; sending: when the lease runs out
    receipt       TEXT,
    reason        TEXT,
    settle_due_at INTEGER,                                  -- when its person is to be told of the end, or the lease on that
    settle_tries  INTEGER NOT NULL DEFAULT 0,
    CHECK ((status IN ('queued', 'sending')) = (due_at IS NOT NULL)),
    CHECK (status NOT IN ('sent', 'delivered', 'read') OR receipt IS NOT NULL),
    CHECK (status NOT IN ('failed', 'skipped', 'unknown') OR reason IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_of_request ON deliveries (request_id, id);
-- The channel stands in it for the count of what waits.
CREATE INDEX deliveries_due ON deliveries (due_at, id, channel) WHERE status IN ('queued', 'sending');
CREATE INDEX deliveries_settle_due ON deliveries (settle_due_at, id) WHERE settle_due_at IS NOT NULL;
CREATE INDEX deliveries_out ON deliveries (channel, address, receipt) WHERE status IN ('sent', 'delivered', 'read');
CREATE INDEX deliveries_skipped ON deliveries (channel, address) WHERE status = 'skipped';
CREATE INDEX deliveries_failed ON deliveries (channel) WHERE status = 'failed';

CREATE TABLE attempts (
    delivery_id BLOB    NOT NULL REFERENCES deliveries (id),
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    error       TEXT,
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE responses (
    id          BLOB    NOT NULL CHECK (length(id) = 16),
    request_id  BLOB    NOT NULL REFERENCES feedback_requests (id),
    by_user_id  BLOB    REFERENCES users (id),
    by_username TEXT,
    channel     TEXT    NOT NULL,
    event       TEXT,                                       -- the provider's own id of what it told the hub
    value       TEXT    NOT NULL,
    comment     TEXT,
    verdict     TEXT    NOT NULL CHECK (verdict IN ('accepted', 'invalid', 'late', 'refused')),
    reason      TEXT,
    at          INTEGER NOT NULL,
    PRIMARY KEY (request_id, id),
    CHECK ((by_user_id IS NULL) = (by_username IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX responses_event ON responses (channel, event) WHERE event IS NOT NULL;

-- The writer gives the ids, in commit order and without gaps.
CREATE TABLE events (
    id         INTEGER NOT NULL PRIMARY KEY,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('created', 'ended')),
    request_id BLOB    NOT NULL CHECK (length(request_id) = 16)
) STRICT;

-- Whom an event concerns: people by their id, service tokens by theirs.
CREATE TABLE event_readers (
    reader   BLOB    NOT NULL CHECK (length(reader) = 16),
    event_id INTEGER NOT NULL,
    PRIMARY KEY (reader, event_id)
) STRICT, WITHOUT ROWID;

-- What a repeated creation is answered with: the request that it made, or a sealed answer.
CREATE TABLE idempotency (
    key         BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    request_id  BLOB,
    sealed      BLOB,
    at          INTEGER NOT NULL,
    CHECK ((request_id IS NULL) <> (sealed IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (at);

-- Secrets of channels. The keys are not secret.
CREATE TABLE vault (
    key     TEXT    NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    sealed  BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
