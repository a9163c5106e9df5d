-- What clients encrypt with. Keys are canonical JSON, as they were uploaded.

CREATE TABLE device_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    keys {blob} NOT NULL,
    PRIMARY KEY (user_id, device_id)
) {clustered};

-- number: the order of the uploads of one device. Keys that were given away are remembered for a while, so that they
-- are not taken in again.
CREATE TABLE one_time_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    claimed INTEGER NOT NULL DEFAULT 0,
    key {blob} NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm, key_id)
) {clustered};
CREATE INDEX one_time_keys_left ON one_time_keys (user_id, device_id, algorithm, number) WHERE claimed = 0;

-- used: somebody was given it after the device had put it here.
CREATE TABLE fallback_keys (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    key_id TEXT NOT NULL,
    used INTEGER NOT NULL DEFAULT 0,
    key {blob} NOT NULL,
    PRIMARY KEY (user_id, device_id, algorithm)
) {clustered};
