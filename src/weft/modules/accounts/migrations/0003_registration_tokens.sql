-- Tokens with which people register, besides those in the settings' file.
-- uses_allowed, expires_ms: NULL for as many as like, and for ever.
CREATE TABLE registration_tokens (
    token TEXT PRIMARY KEY,
    uses_allowed BIGINT,
    completed BIGINT NOT NULL,
    expires_ms BIGINT
) {clustered};

-- Uses of a token that are under way: somebody has shown it and not registered yet. session: the hash of the session id.
CREATE TABLE registration_token_uses (
    session {blob} NOT NULL PRIMARY KEY,
    token TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX registration_token_uses_token ON registration_token_uses (token);
CREATE INDEX registration_token_uses_expiry ON registration_token_uses (expires_ms);
