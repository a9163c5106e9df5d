-- seq: in which order what waits for a server was sent, whichever process took it.
ALTER TABLE to_device_outbox ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX to_device_outbox_order ON to_device_outbox (server_name, seq);
