-- Addresses that are somebody's here, canonically spelled: each is one account's at most.
CREATE TABLE third_party_ids (
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    user_id TEXT NOT NULL,
    validated_ms BIGINT NOT NULL,
    added_ms BIGINT NOT NULL,
    PRIMARY KEY (medium, address)
) {clustered};
CREATE INDEX third_party_ids_user ON third_party_ids (user_id);

-- Which identity servers tell the world that an address is a user's, as far as they were told through this server.
CREATE TABLE third_party_bindings (
    user_id TEXT NOT NULL,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    id_server TEXT NOT NULL,
    PRIMARY KEY (user_id, medium, address, id_server)
) {clustered};

-- Validations under way. purpose: what the session is good for. secret: SHA-256 of the client's secret. used_by: what
-- used the validated session up (a hash). tries: wrong codes so far.
CREATE TABLE third_party_sessions (
    sid TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    medium TEXT NOT NULL,
    address TEXT NOT NULL,
    secret {blob} NOT NULL,
    send_attempt BIGINT NOT NULL,
    next_link TEXT,
    tries INTEGER NOT NULL DEFAULT 0,
    validated_ms BIGINT,
    used_by {blob},
    expires_ms BIGINT NOT NULL
) {clustered};
CREATE INDEX third_party_sessions_client ON third_party_sessions (secret, address);
CREATE INDEX third_party_sessions_expiry ON third_party_sessions (expires_ms);

-- What was sent to the address of a session: SHA-256 of each token. A second message leaves the first one's good.
CREATE TABLE third_party_tokens (
    sid TEXT NOT NULL,
    hash {blob} NOT NULL,
    PRIMARY KEY (sid, hash)
) {clustered};
