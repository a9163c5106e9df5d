-- Messages are as long as a quarter of a page and more: in a clustered table each had a page of its own. Here they
-- lie one behind the other as they arrive, and the key is an index.
CREATE TABLE to_device_arrived (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    position BIGINT NOT NULL,
    sender TEXT NOT NULL,
    json {blob} NOT NULL,
    PRIMARY KEY (user_id, device_id, seq, position)
);
INSERT INTO to_device_arrived (user_id, device_id, seq, position, sender, json)
SELECT user_id, device_id, seq, position, sender, json FROM to_device_inbox ORDER BY position;
DROP TABLE to_device_inbox;
ALTER TABLE to_device_arrived RENAME TO to_device_inbox;
