-- The one room of each user in which this server writes to them.
CREATE TABLE server_notice_rooms (
    user_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    PRIMARY KEY (user_id)
) {clustered};
