-- How people like to be reached, addresses by their ids, and the codes that confirm them.

ALTER TABLE users ADD COLUMN locale TEXT;                                                       -- a BCP 47 tag
ALTER TABLE users ADD COLUMN timezone TEXT;                                                     -- an IANA name
ALTER TABLE users ADD COLUMN quiet_hours TEXT CHECK (quiet_hours IS NULL OR json_valid(quiet_hours)); -- {"from", "to"}

CREATE TABLE addresses_by_id (
    user_id   BLOB    NOT NULL REFERENCES users (id),
    channel   TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    -- The hub gives one; this is for those that are there already.
    id        BLOB    NOT NULL UNIQUE DEFAULT (randomblob(16)) CHECK (length(id) = 16),
    PRIMARY KEY (user_id, channel, address)
) STRICT, WITHOUT ROWID;

INSERT INTO addresses_by_id (user_id, channel, address, confirmed) SELECT user_id, channel, address, confirmed FROM addresses;
DROP TABLE addresses;
ALTER TABLE addresses_by_id RENAME TO addresses;

-- A confirmed address is one person's; the same one may wait for its confirmation with several.
CREATE UNIQUE INDEX addresses_confirmed ON addresses (channel, address) WHERE confirmed = 1;

-- The newest code sent to each address that waits for its confirmation. It outlives its address, so that whoever takes an
-- address back and gives it again waits for the next code as long as others.
CREATE TABLE address_codes (
    user_id    BLOB    NOT NULL REFERENCES users (id),
    channel    TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    sent_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0, -- how many wrong codes were shown
    PRIMARY KEY (user_id, channel, address)
) STRICT, WITHOUT ROWID;
