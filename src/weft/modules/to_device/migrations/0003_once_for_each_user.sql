-- What one request sends to the devices of one user, once: {"sender": …, "type": …, "messages": {device id: content}}.
-- It goes when every device has acknowledged it.
CREATE TABLE to_device_messages (
    position BIGINT NOT NULL PRIMARY KEY,
    json {blob} NOT NULL
);

-- Which devices have not acknowledged it yet: their ids as JSON strings, each between two line breaks. The rows are
-- narrow: a row and an index entry for each device would lie on as many pages, all to be written for one request.
-- stamp: the order of arrival. Of one writer's entries it is their own order.
CREATE TABLE to_device_waiting (
    user_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    stamp BIGINT NOT NULL,
    devices TEXT NOT NULL,
    PRIMARY KEY (user_id, position)
) {clustered};

-- What waits already. Where several processes have written, what each of them wrote keeps its order.
-- only: sqlite
INSERT INTO to_device_messages (position, json)
SELECT position, CAST(
    '{"sender":' || min(sent -> '$.sender') || ',"type":' || min(sent -> '$.type') || ',"messages":{'
    || group_concat(json_quote(device_id) || ':' || (sent -> '$.content')) || '}}' AS BLOB)
FROM (SELECT position, device_id, CAST(json AS text) AS sent FROM to_device_inbox)
GROUP BY position;
INSERT INTO to_device_waiting (user_id, position, stamp, devices)
SELECT user_id, position, position & 1099511627775,
    char(10) || group_concat(json_quote(device_id), char(10)) || char(10)
FROM to_device_inbox GROUP BY user_id, position;
-- end
-- only: postgres
INSERT INTO to_device_messages (position, json)
SELECT position, convert_to(
    '{"sender":' || min(CAST(sent -> 'sender' AS text)) || ',"type":' || min(CAST(sent -> 'type' AS text))
    || ',"messages":{' || string_agg(CAST(to_json(device_id) AS text) || ':' || CAST(sent -> 'content' AS text), ',')
    || '}}', 'UTF8')
FROM (SELECT position, device_id, CAST(convert_from(json, 'UTF8') AS JSON) AS sent FROM to_device_inbox) AS inbox
GROUP BY position;
INSERT INTO to_device_waiting (user_id, position, stamp, devices)
SELECT user_id, position, position & 1099511627775,
    chr(10) || string_agg(CAST(to_json(device_id) AS text), chr(10)) || chr(10)
FROM to_device_inbox GROUP BY user_id, position;
-- end
DROP TABLE to_device_inbox;
