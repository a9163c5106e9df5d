-- What users changed of their push rules; see weft.protocol.push_rules.UserRules. No row: nothing.
CREATE TABLE push_rules (
    user_id TEXT PRIMARY KEY,
    rules {blob} NOT NULL,
    position BIGINT NOT NULL
) {clustered};
