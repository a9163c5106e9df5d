-- What two devices hand each other while one signs the other in. Gone after minutes.
CREATE TABLE rendezvous_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    data TEXT NOT NULL,
    -- Counts the writes.
    sequence BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX rendezvous_sessions_expiry ON rendezvous_sessions (expires_ms);
