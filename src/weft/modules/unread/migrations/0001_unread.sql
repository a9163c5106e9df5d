-- How much users have not read in their rooms, so that what was counted once is not counted again after a start.
-- cut: up to where in the log; made_from: a digest of what else it follows from (receipts, rules, …).
-- threads: for each thread how many events notify and how many of these are highlights, packed.

CREATE TABLE unread_tallies (
    user_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    cut TEXT NOT NULL,
    made_from {blob} NOT NULL,
    threads {blob} NOT NULL,
    PRIMARY KEY (user_id, room)
) {clustered};
CREATE INDEX unread_tallies_room ON unread_tallies (room);
