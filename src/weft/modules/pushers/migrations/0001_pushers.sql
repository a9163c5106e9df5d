-- Where users want to be notified, and what was not sent there yet. A notification without an event is of the counts.

CREATE TABLE pushers (
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    device_id TEXT,
    kind TEXT NOT NULL,
    app_display_name TEXT NOT NULL,
    device_display_name TEXT NOT NULL,
    profile_tag TEXT NOT NULL,
    lang TEXT NOT NULL,
    url TEXT NOT NULL,
    data TEXT NOT NULL,
    set_ms BIGINT NOT NULL,
    told_unread BIGINT NOT NULL,
    -- Nothing is sent before then: its gateway did not like the last notification.
    rests_until_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, app_id, pushkey)
);
CREATE INDEX pushers_key ON pushers (app_id, pushkey);

CREATE TABLE push_queue (
    user_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    pushkey TEXT NOT NULL,
    event_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    position BIGINT NOT NULL,
    url TEXT NOT NULL,
    tweaks TEXT NOT NULL,
    queued_ms BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    PRIMARY KEY (user_id, app_id, pushkey, event_id)
);
CREATE INDEX push_queue_order ON push_queue (url, queued_ms, position);
