-- made_by: the administrator who made a token to act as the user; it is on no device (device_id is '').
ALTER TABLE access_tokens ADD COLUMN made_by TEXT;
CREATE INDEX access_tokens_made_by ON access_tokens (made_by) WHERE made_by IS NOT NULL;
