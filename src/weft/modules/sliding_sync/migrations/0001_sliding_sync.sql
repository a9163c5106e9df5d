-- Connections of sliding sync. configs: what was asked of rooms, as a JSON array; sliding_rooms.config counts in it.
-- acknowledged, latest: the generations that the client may come back with: the one it had, and the one of the answer.
CREATE TABLE sliding_connections (
    connection {identity},
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    conn_id TEXT NOT NULL,
    acknowledged BIGINT NOT NULL,
    latest BIGINT NOT NULL,
    configs {blob} NOT NULL,
    used_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX sliding_connections_name ON sliding_connections (user_id, device_id, conn_id);
CREATE INDEX sliding_connections_used ON sliding_connections (used_ms);

-- What a connection was told of each room, as of a generation. upto: a vector, spelled, behind which nothing was told;
-- NULL where the client has everything up to the position that it comes with. config: -1 where it was told what one
-- who is not in the room is told.
CREATE TABLE sliding_rooms (
    connection BIGINT NOT NULL,
    room BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    upto TEXT,
    config INTEGER NOT NULL,
    PRIMARY KEY (connection, room, generation)
) {clustered};
