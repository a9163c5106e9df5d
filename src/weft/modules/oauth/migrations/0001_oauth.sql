-- Tokens, codes and cookies are known by their SHA-256 only.

-- metadata: what a client said of itself, as JSON. client_id: made of it, so that the same client is one row.
CREATE TABLE oauth_clients (
    client_id TEXT PRIMARY KEY,
    metadata {blob} NOT NULL,
    used_ms BIGINT NOT NULL
);
CREATE INDEX oauth_clients_used ON oauth_clients (used_ms);

-- used: somebody tried to redeem it. grant_hash: of the session that began by it.
CREATE TABLE oauth_codes (
    hash {blob} NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    nonce TEXT,
    expires_ms BIGINT NOT NULL,
    used SMALLINT NOT NULL DEFAULT 0,
    grant_hash {blob}
);
CREATE INDEX oauth_codes_user ON oauth_codes (user_id);
CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_ms);

-- Who is signed in to the server's own pages. proven_ms: when they last proved that it is them.
CREATE TABLE browser_sessions (
    hash {blob} NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    proven_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX browser_sessions_user ON browser_sessions (user_id);
CREATE INDEX browser_sessions_expiry ON browser_sessions (expires_ms);
