-- What clients keep with an account. room_id: '' for all rooms. content: the JSON object as the client sent it.
CREATE TABLE account_data (
    user_id TEXT NOT NULL,
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    content {blob} NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, room_id, type)
) {clustered};
CREATE INDEX account_data_position ON account_data (user_id, position);
