-- Blocks of positions for history: see weft.storage.history. holder: which process took the block.
CREATE TABLE history_blocks (
    block {identity},
    holder TEXT NOT NULL
);

-- Events that events of a room build on and that are not here: where its history goes on beyond this server.
-- depth: below which depth it has to be. wanted: 1 where the gap came while this server was in the room, and is filled by itself.
CREATE TABLE missing_events (
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    depth BIGINT NOT NULL,
    wanted SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (room, event_id)
) {clustered};
CREATE INDEX missing_events_depth ON missing_events (room, depth);

-- What other servers sent and we acknowledged, while what it builds on is still being fetched.
CREATE TABLE staged_events (
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    depth BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    json {blob} NOT NULL,
    PRIMARY KEY (room, event_id)
) {clustered};
CREATE INDEX staged_events_received ON staged_events (received_ms);

-- What a user was shown of a room that this server is not in, with the event that invited them or by which they knock.
CREATE TABLE outside_views (
    room BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    stripped_state {blob} NOT NULL,
    PRIMARY KEY (room, user_id)
) {clustered};
