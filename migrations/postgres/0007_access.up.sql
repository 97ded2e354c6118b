-- Who may do what: accounts that are deactivated, service users, and the limits that servers share.

ALTER TABLE users ADD COLUMN deactivated_at bigint; -- since when it can do nothing, and nobody can ask it
ALTER TABLE users ADD COLUMN service boolean NOT NULL DEFAULT FALSE; -- another backend, which calls with its token
ALTER TABLE users ADD CONSTRAINT users_service CHECK (NOT service OR password IS NULL);

-- There are few administrators.
CREATE INDEX users_administrators ON users (id) WHERE role = 'administrator' AND deactivated_at IS NULL;

CREATE INDEX sign_ins_of_user ON sign_ins (user_id);

-- What was counted against limits lately, by several servers: what is lost in a crash of the database was minutes old.
CREATE UNLOGGED TABLE limits (
    key   bytea  NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32), -- SHA-256 of what is limited, and whose
    until bigint NOT NULL                                             -- when nothing counts any more
);
