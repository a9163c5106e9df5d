-- Member events of rooms that this server is not in: judged by nobody here, and of no known place in the graph. Once
-- the server is in the room, they are outliers until the events around them are fetched.
CREATE TABLE outside_events (
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (room, event_id)
) {clustered};
