-- Who is typing where, and until when (milliseconds since the epoch). A negative time says when it was over; such rows
-- are kept for a while.
CREATE TABLE typing (
    room BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (room, user_id)
) {clustered};
CREATE INDEX typing_expires ON typing (expires_ms);
