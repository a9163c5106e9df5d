-- Device lists of other servers' users that are followed. cut: what of the log was applied when the list was asked for
-- (a vector, spelled). stale: changes of it were missed, it has to be asked for anew.
CREATE TABLE remote_device_lists (
    user_id TEXT NOT NULL,
    stream_id BIGINT NOT NULL,
    cut TEXT NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    tried_ms BIGINT NOT NULL DEFAULT 0,
    master_key {blob},
    self_signing_key {blob},
    PRIMARY KEY (user_id)
) {clustered};
CREATE INDEX remote_device_lists_stale ON remote_device_lists (tried_ms) WHERE stale = 1;

CREATE TABLE remote_devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    display_name TEXT NOT NULL DEFAULT '',
    keys {blob},
    PRIMARY KEY (user_id, device_id)
) {clustered};
