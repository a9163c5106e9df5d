-- Users who have a rate of their own in place of the settings'. per_second: 0 for no limit.
CREATE TABLE rate_limit_overrides (
    user_id TEXT PRIMARY KEY,
    per_second BIGINT NOT NULL,
    burst BIGINT NOT NULL
) {clustered};
