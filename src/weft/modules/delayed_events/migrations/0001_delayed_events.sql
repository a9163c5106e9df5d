-- Events that are sent later, unless somebody says otherwise. transaction_id: of the request, within its endpoint, so that
-- a repetition schedules nothing more. replaces: the state event that was in the place when it was scheduled.
CREATE TABLE delayed_events (
    delay_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    transaction_id TEXT,
    room_id TEXT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT,
    content {blob} NOT NULL,
    replaces TEXT,
    delay_ms BIGINT NOT NULL,
    running_since_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL
) {clustered};
CREATE UNIQUE INDEX delayed_events_transaction ON delayed_events (user_id, device_id, transaction_id);
CREATE INDEX delayed_events_due ON delayed_events (due_ms);
