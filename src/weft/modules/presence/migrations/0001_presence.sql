-- Who is there. Times are milliseconds since the epoch.
-- status_msg: UTF-8. connected_until_ms: kept up to date only where several processes share the database.
CREATE TABLE presence (
    user_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    status_msg {blob},
    last_active_ms BIGINT NOT NULL,
    currently_active SMALLINT NOT NULL,
    connected_until_ms BIGINT NOT NULL DEFAULT 0,
    position BIGINT NOT NULL
) {clustered};
CREATE INDEX presence_state ON presence (state);
