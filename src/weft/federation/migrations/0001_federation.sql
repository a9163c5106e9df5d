-- What is known of other servers.

-- Their signing keys. valid_until_ms: until when a current key counts; expired_ms: when a former one ended.
CREATE TABLE server_keys (
    server_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    data {blob} NOT NULL,
    valid_until_ms BIGINT NOT NULL,
    expired_ms BIGINT,
    PRIMARY KEY (server_name, key_id)
) {clustered};

-- Each server's newest document of keys, as it signed it: for those who ask us as a notary.
CREATE TABLE server_key_documents (
    server_name TEXT PRIMARY KEY,
    document {blob} NOT NULL,
    valid_until_ms BIGINT NOT NULL,
    fetched_ms BIGINT NOT NULL
) {clustered};

-- Servers that don't answer: since when, when to try again, and how long that pause is.
CREATE TABLE destinations (
    server_name TEXT PRIMARY KEY,
    failing_since_ms BIGINT NOT NULL,
    retry_at_ms BIGINT NOT NULL,
    pause_ms BIGINT NOT NULL
) {clustered};
