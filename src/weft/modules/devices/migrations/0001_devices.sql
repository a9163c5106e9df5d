-- Every login of a user is on a device. last_seen_ms is 0 for one that has not been seen since it was made.

CREATE TABLE devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    last_seen_ms BIGINT NOT NULL DEFAULT 0,
    last_seen_ip TEXT NOT NULL DEFAULT '',
    last_seen_user_agent TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, device_id)
) {clustered};
