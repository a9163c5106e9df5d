-- Events that are sticky until a time (MSC4354). position: in the log, of the entry that tells of it, or of the event where
-- it is hidden until the room's current state is seen to allow it.
CREATE TABLE sticky_events (
    event_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    sender TEXT NOT NULL,
    position BIGINT NOT NULL,
    hidden SMALLINT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (event_id)
) {clustered};
CREATE INDEX sticky_events_room ON sticky_events (room, position);
CREATE INDEX sticky_events_until ON sticky_events (until_ms);
