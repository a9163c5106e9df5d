-- Messages that wait for a device of ours until it has acknowledged them. `seq` is their order of arrival.
CREATE TABLE to_device_inbox (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    position BIGINT NOT NULL,
    sender TEXT NOT NULL,
    json {blob} NOT NULL,
    PRIMARY KEY (user_id, device_id, seq, position)
) {clustered};

-- The content of an EDU for another server, until that server has it.
CREATE TABLE to_device_outbox (
    position BIGINT NOT NULL PRIMARY KEY,
    server_name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    json {blob} NOT NULL
);
CREATE INDEX to_device_outbox_server ON to_device_outbox (server_name, position);

-- What came from other servers, so that what comes again is known.
CREATE TABLE to_device_received (
    origin TEXT NOT NULL,
    message_id TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    PRIMARY KEY (origin, message_id)
) {clustered};
CREATE INDEX to_device_received_ms ON to_device_received (received_ms);
