-- Accounts that are linked by opening a link, addresses that block the hub, and what was sent as what.

ALTER TABLE addresses ADD COLUMN blocked_at bigint; -- since when it takes nothing from the channel

-- The newest link of each person and channel, until it is long over.
CREATE TABLE link_codes (
    user_id    uuid   NOT NULL REFERENCES users (id),
    channel    text   NOT NULL,
    hash       bytea  NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the code
    expires_at bigint NOT NULL,
    used_at    text,                                             -- the address that it was used from
    PRIMARY KEY (user_id, channel)
);

-- Words may come in reply to a question that is settled.
CREATE INDEX deliveries_sent_as ON deliveries (channel, receipt) WHERE receipt IS NOT NULL;
