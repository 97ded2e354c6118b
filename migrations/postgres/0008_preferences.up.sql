-- How people like to be reached, addresses by their ids, and the codes that confirm them.

ALTER TABLE users ADD COLUMN locale text; -- a BCP 47 tag
ALTER TABLE users ADD COLUMN timezone text; -- an IANA name
ALTER TABLE users ADD COLUMN quiet_hours text CHECK (quiet_hours IS NULL OR quiet_hours::json IS NOT NULL); -- {"from", "to"}

-- The hub gives an id; the default is for those that are there already.
ALTER TABLE addresses ADD COLUMN id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid();

-- The newest code sent to each address that waits for its confirmation. It outlives its address, so that whoever takes an
-- address back and gives it again waits for the next code as long as others.
CREATE TABLE address_codes (
    user_id    uuid   NOT NULL REFERENCES users (id),
    channel    text   NOT NULL,
    address    text   NOT NULL,
    sealed     bytea  NOT NULL,
    sent_at    bigint NOT NULL,
    expires_at bigint NOT NULL,
    tries      bigint NOT NULL DEFAULT 0, -- how many wrong codes were shown
    PRIMARY KEY (user_id, channel, address)
);
