-- client_id: the OAuth client whose session it is; NULL for a session of the legacy API.
-- grant_hash: the SHA-256 of what all refresh tokens of one such session have in common.

ALTER TABLE refresh_tokens ADD COLUMN client_id TEXT;
ALTER TABLE refresh_tokens ADD COLUMN grant_hash {blob};
CREATE INDEX refresh_tokens_client ON refresh_tokens (client_id);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_hash);
