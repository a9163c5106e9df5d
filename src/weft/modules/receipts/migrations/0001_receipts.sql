-- How far users have read. thread: '' for the room as a whole, 'main', or the id of a thread's root.
-- depth and event_position are the place of the event in the room's history; ts is milliseconds since the epoch.
CREATE TABLE receipts (
    room BIGINT NOT NULL,
    receipt_type TEXT NOT NULL,
    user_id TEXT NOT NULL,
    thread TEXT NOT NULL,
    event_id TEXT NOT NULL,
    ts BIGINT NOT NULL,
    depth BIGINT NOT NULL,
    event_position BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (room, receipt_type, user_id, thread)
) {clustered};
CREATE INDEX receipts_user ON receipts (user_id, room);
CREATE INDEX receipts_position ON receipts (position);
