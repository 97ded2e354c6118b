-- Accounts that are linked by opening a link, addresses that block the hub, and what was sent as what.

ALTER TABLE addresses ADD COLUMN blocked_at INTEGER; -- since when it takes nothing from the channel

-- The newest link of each person and channel, until it is long over.
CREATE TABLE link_codes (
    user_id    BLOB    NOT NULL REFERENCES users (id),
    channel    TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the code
    expires_at INTEGER NOT NULL,
    used_at    TEXT,                                              -- the address that it was used from
    PRIMARY KEY (user_id, channel)
) STRICT, WITHOUT ROWID;

-- Words may come in reply to a question that is settled.
CREATE INDEX deliveries_sent_as ON deliveries (channel, receipt) WHERE receipt IS NOT NULL;
