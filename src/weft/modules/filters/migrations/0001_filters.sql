-- Filters that clients stored, as they came. filter_id: made from the bytes, so that the same filter is kept once.
CREATE TABLE filters (
    user_id TEXT NOT NULL,
    filter_id TEXT NOT NULL,
    json {blob} NOT NULL,
    PRIMARY KEY (user_id, filter_id)
) {clustered};
