-- Servers: who lives, who is connected to which, who runs a channel.

CREATE TABLE servers (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    alive_until INTEGER NOT NULL                      -- its life ends then unless it says that it goes on
) STRICT, WITHOUT ROWID;

-- To which server somebody is connected at an address, or since when not any more. Server 0 stands for the service itself,
-- which every server calls.
CREATE TABLE presence (
    channel TEXT    NOT NULL,
    address TEXT    NOT NULL,
    server  BLOB    NOT NULL CHECK (length(server) = 16),
    left_at INTEGER,
    PRIMARY KEY (channel, address, server)
) STRICT, WITHOUT ROWID;

CREATE INDEX presence_of_server ON presence (server);
CREATE INDEX presence_left ON presence (left_at) WHERE left_at IS NOT NULL;

CREATE TABLE runs (
    channel    TEXT    NOT NULL PRIMARY KEY,
    server     BLOB    NOT NULL CHECK (length(server) = 16),
    held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
