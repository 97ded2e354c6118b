-- Servers: who lives, who is connected to which, who runs a channel.

CREATE TABLE servers (
    id          uuid   NOT NULL PRIMARY KEY,
    alive_until bigint NOT NULL  -- its life ends then unless it says that it goes on
);

-- To which server somebody is connected at an address, or since when not any more. Server 0 stands for the service itself,
-- which every server calls.
CREATE TABLE presence (
    channel text   NOT NULL,
    address text   NOT NULL,
    server  uuid   NOT NULL,
    left_at bigint,
    PRIMARY KEY (channel, address, server)
);

CREATE INDEX presence_of_server ON presence (server);
CREATE INDEX presence_left ON presence (left_at) WHERE left_at IS NOT NULL;

CREATE TABLE runs (
    channel    text   NOT NULL PRIMARY KEY,
    server     uuid   NOT NULL,
    held_until bigint NOT NULL
);
