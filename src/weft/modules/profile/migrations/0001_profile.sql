-- Profiles of local users. fields: one JSON object with everything.
CREATE TABLE profiles (
    user_id TEXT PRIMARY KEY,
    fields {blob} NOT NULL
) {clustered};

-- Whose name or picture has yet to reach their rooms. change: the log position of the newest change.
CREATE TABLE profile_changes (
    user_id TEXT PRIMARY KEY,
    change BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL
) {clustered};
