-- How often a user's list of devices has changed, and the log's position of the newest change. Users of other servers
-- have a row too, once a change of theirs was told here: stream_id then counts what was told.

CREATE TABLE device_lists (
    user_id TEXT NOT NULL,
    stream_id BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id)
) {clustered};
CREATE INDEX device_lists_position ON device_lists (position);
