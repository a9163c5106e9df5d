-- Servers that have asked for the device list of a user of ours with whom, as far as was known here, they shared no room.
CREATE TABLE device_list_askers (
    user_id TEXT NOT NULL,
    server_name TEXT NOT NULL,
    asked_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, server_name)
) {clustered};
CREATE INDEX device_list_askers_asked ON device_list_askers (asked_ms);
