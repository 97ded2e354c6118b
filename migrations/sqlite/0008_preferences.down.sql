DROP TABLE address_codes;

CREATE TABLE addresses_without_id (
    user_id   BLOB    NOT NULL REFERENCES users (id),
    channel   TEXT    NOT NULL,
    address   TEXT    NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    PRIMARY KEY (user_id, channel, address)
) STRICT, WITHOUT ROWID;

INSERT INTO addresses_without_id SELECT user_id, channel, address, confirmed FROM addresses;
DROP TABLE addresses;
ALTER TABLE addresses_without_id RENAME TO addresses;
CREATE UNIQUE INDEX addresses_confirmed ON addresses (channel, address) WHERE confirmed = 1;

ALTER TABLE users DROP COLUMN quiet_hours;
ALTER TABLE users DROP COLUMN timezone;
ALTER TABLE users DROP COLUMN locale;
