-- Who somebody is elsewhere.
CREATE TABLE linked_identities (
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    linked_ms BIGINT NOT NULL,
    PRIMARY KEY (provider, subject)
);
CREATE INDEX linked_identities_user ON linked_identities (user_id);

-- Those who are on their way. hash: of a secret that only their browser has; sealed: encrypted with it.
CREATE TABLE single_sign_on_steps (
    hash {blob} NOT NULL PRIMARY KEY,
    sealed {blob} NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX single_sign_on_steps_expiry ON single_sign_on_steps (expires_ms);
