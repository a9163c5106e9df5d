-- What a device without a browser asks for, until somebody has decided on another one. The device's code is known by its
-- SHA-256 only. user_id: who has decided; allowed: how, NULL before that. polled_ms: when it was last asked for.
CREATE TABLE oauth_device_grants (
    hash {blob} NOT NULL PRIMARY KEY,
    user_code TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    interval_ms BIGINT NOT NULL,
    polled_ms BIGINT NOT NULL,
    user_id TEXT,
    allowed SMALLINT
);
CREATE INDEX oauth_device_grants_user ON oauth_device_grants (user_id);
CREATE INDEX oauth_device_grants_expiry ON oauth_device_grants (expires_ms);
