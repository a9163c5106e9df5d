-- Which threads users follow. One that was given up is kept, so that a client that learns of a mention late does not
-- subscribe again: seen is how much of the log there was when it was given up, spelled; '' where it never was.
-- stamp: counts the changes of one subscription, from 1. changed_ms: when the last one was.

CREATE TABLE thread_subscriptions (
    user_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    root TEXT NOT NULL,
    is_subscribed SMALLINT NOT NULL,
    is_automatic SMALLINT NOT NULL,
    seen TEXT NOT NULL,
    stamp BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (user_id, room, root)
) {clustered};
CREATE INDEX thread_subscriptions_room ON thread_subscriptions (room);
