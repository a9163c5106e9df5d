-- What users reported. about: event, room or user. user_id: whom it is about; of an event its sender.

CREATE TABLE reports (
    report {identity},
    received_ms BIGINT NOT NULL,
    reporter TEXT NOT NULL,
    about TEXT NOT NULL,
    room_id TEXT,
    event_id TEXT,
    user_id TEXT,
    reason TEXT,
    score BIGINT
);
