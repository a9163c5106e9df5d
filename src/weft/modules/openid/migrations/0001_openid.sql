-- Tokens by which users prove to others who they are; known by their SHA-256 only.

CREATE TABLE openid_tokens (
    hash {blob} NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX openid_tokens_expiry ON openid_tokens (expires_ms);
CREATE INDEX openid_tokens_user ON openid_tokens (user_id);
