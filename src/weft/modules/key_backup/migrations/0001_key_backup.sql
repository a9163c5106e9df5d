-- Backups of room keys. `etag` counts changes of what is stored; a deleted one is remembered, so that its number is not
-- used again.
CREATE TABLE key_backups (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    algorithm TEXT NOT NULL,
    auth_data {blob} NOT NULL,
    keys BIGINT NOT NULL,
    etag BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    PRIMARY KEY (user_id, version)
) {clustered};

CREATE TABLE key_backup_keys (
    user_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    room_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    first_message_index BIGINT NOT NULL,
    forwarded_count BIGINT NOT NULL,
    is_verified BIGINT NOT NULL,
    session_data {blob} NOT NULL,
    PRIMARY KEY (user_id, version, room_id, session_id)
) {clustered};
