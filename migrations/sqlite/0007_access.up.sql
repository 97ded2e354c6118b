-- Who may do what: accounts that are deactivated, service users, and the limits that servers share.

ALTER TABLE users ADD COLUMN deactivated_at INTEGER; -- since when it can do nothing, and nobody can ask it
-- Another backend, which calls with its token.
ALTER TABLE users ADD COLUMN service INTEGER NOT NULL DEFAULT 0 CHECK (service IN (0, 1) AND (service = 0 OR password IS NULL));

-- There are few administrators.
CREATE INDEX users_administrators ON users (id) WHERE role = 'administrator' AND deactivated_at IS NULL;

CREATE INDEX sign_ins_of_user ON sign_ins (user_id);

-- What was counted against limits lately. One server keeps that in its memory, so on SQLite nothing is written here.
CREATE TABLE limits (
    key   BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32), -- SHA-256 of what is limited, and whose
    until INTEGER NOT NULL                                       -- when nothing counts any more
) STRICT;
