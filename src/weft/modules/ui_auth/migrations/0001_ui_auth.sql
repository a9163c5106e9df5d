-- Sessions of user-interactive authentication. Both the name (its hash) and the content (encrypted) are of no use to
-- whoever reads this table: the key is the session id, which only the client has.
-- revision counts the changes, so that two requests can't undo each other's.

CREATE TABLE ui_auth_sessions (
    hash {blob} NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    sealed {blob} NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX ui_auth_sessions_expiry ON ui_auth_sessions (expires_ms);
