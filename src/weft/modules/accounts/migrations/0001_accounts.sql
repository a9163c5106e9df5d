-- password: its argon2 hash; NULL for an account that nobody logs in to with one.
-- deactivated_ms: when the account ended, NULL while it goes on. Its row stays, so that the name is never given again.

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    password TEXT,
    created_ms BIGINT NOT NULL,
    is_guest SMALLINT NOT NULL,
    is_admin SMALLINT NOT NULL,
    user_type TEXT,
    suspended SMALLINT NOT NULL DEFAULT 0,
    locked SMALLINT NOT NULL DEFAULT 0,
    deactivated_ms BIGINT,
    erased SMALLINT NOT NULL DEFAULT 0
) {clustered};

-- At most one row: whose account came first.
CREATE TABLE first_account (
    one SMALLINT PRIMARY KEY,
    user_id TEXT NOT NULL
) {clustered};

-- Which versions of which documents somebody accepted.
CREATE TABLE accepted_terms (
    user_id TEXT NOT NULL,
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    accepted_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, document, version)
) {clustered};

-- Tokens are known by their SHA-256 only.
-- parent: the refresh token that this one was given for, until one of the new tokens is used.
CREATE TABLE refresh_tokens (
    refresh_id {identity},
    hash {blob} NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    parent BIGINT
);
CREATE INDEX refresh_tokens_device ON refresh_tokens (user_id, device_id);
CREATE INDEX refresh_tokens_parent ON refresh_tokens (parent);

-- refresh_id: the refresh token that was given together with it. expires_ms: NULL for one that lasts.
CREATE TABLE access_tokens (
    token_id {identity},
    hash {blob} NOT NULL UNIQUE,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    refresh_id BIGINT
);
CREATE INDEX access_tokens_device ON access_tokens (user_id, device_id);
CREATE INDEX access_tokens_refresh ON access_tokens (refresh_id);

-- What logs another device in, once.
CREATE TABLE login_tokens (
    hash {blob} NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX login_tokens_user ON login_tokens (user_id);
CREATE INDEX login_tokens_expiry ON login_tokens (expires_ms);
