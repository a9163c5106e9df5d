-- The log, and what follows it.

-- holder: which process took the writer id last.
CREATE TABLE writers (
    writer INTEGER PRIMARY KEY,
    holder TEXT NOT NULL
);

-- Every start of a process.
CREATE TABLE runs (
    run {identity},
    holder TEXT NOT NULL
);

-- position: writer << 40 | number. What room, user_id and key mean is up to the kind.
CREATE TABLE log (
    position BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    room BIGINT,
    user_id TEXT,
    key TEXT
);

CREATE TABLE followers (
    name TEXT NOT NULL,
    writer INTEGER NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (name, writer)
) {clustered};

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    expires_ms BIGINT NOT NULL
) {clustered};

-- Rooms. snapshot: the state that memberships and current_state were last made from; NULL before the first event.
-- forked: 1 where the ends of the room's graph have different states that are not resolved yet.
CREATE TABLE rooms (
    room {identity},
    room_id TEXT NOT NULL UNIQUE,
    version TEXT NOT NULL,
    snapshot BIGINT,
    forked SMALLINT NOT NULL DEFAULT 0
);

-- Events, each once, as they travel between servers.
-- snapshot: the room's state after the event. outcome: 0 accepted, 1 soft-failed, 2 rejected, 3 outlier (not in the graph).
-- replaces: the position of the state event in whose place it stepped.
-- redacted_by: the event id of the redaction that was applied to json.
CREATE TABLE events (
    position BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT,
    sender TEXT NOT NULL,
    depth BIGINT NOT NULL,
    origin_server_ts BIGINT NOT NULL,
    snapshot BIGINT,
    outcome SMALLINT NOT NULL,
    redacted_by TEXT,
    replaces BIGINT,
    json {blob} NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (event_id);
CREATE INDEX events_order ON events (room, depth, position);
CREATE INDEX events_arrival ON events (room, position);
CREATE INDEX events_state ON events (room, type, state_key) WHERE state_key IS NOT NULL;

CREATE TABLE forward_extremities (
    room BIGINT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (room, event_id)
) {clustered};

-- Which state events (child, a position) name an event (parent) in their auth_events: what resolving state walks.
CREATE TABLE auth_children (
    parent BIGINT NOT NULL,
    child BIGINT NOT NULL,
    PRIMARY KEY (parent, child)
) {clustered};

-- Redactions whose target is not here, or may not be redacted yet.
CREATE TABLE pending_redactions (
    target TEXT NOT NULL,
    redaction TEXT NOT NULL,
    PRIMARY KEY (target, redaction)
) {clustered};

-- Rooms' states, as a tree. changes: positions of the events by which it differs from its parent; skip: the same
-- against the ancestor base, NULL where base is the parent. A negative position: that event's key is gone.
CREATE TABLE snapshots (
    snapshot BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    depth BIGINT NOT NULL,
    parent BIGINT,
    base BIGINT,
    changes {blob} NOT NULL,
    skip {blob}
);

-- The current state, in tables that can be searched; made from rooms.snapshot.
CREATE TABLE memberships (
    room BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    membership TEXT NOT NULL,
    event_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    forgotten SMALLINT NOT NULL DEFAULT 0,
    PRIMARY KEY (room, user_id)
) {clustered};
CREATE INDEX memberships_user ON memberships (user_id, membership);

CREATE TABLE current_state (
    room BIGINT NOT NULL,
    type TEXT NOT NULL,
    state_key TEXT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (room, type, state_key)
) {clustered};
CREATE INDEX current_state_type ON current_state (type, state_key);

-- m.relates_to, of events that are not redacted.
CREATE TABLE relations (
    position BIGINT PRIMARY KEY,
    room BIGINT NOT NULL,
    target TEXT NOT NULL,
    rel_type TEXT NOT NULL,
    type TEXT NOT NULL,
    sender TEXT NOT NULL,
    key TEXT,
    depth BIGINT NOT NULL
);
CREATE INDEX relations_target ON relations (target, rel_type, type);
CREATE INDEX relations_threads ON relations (room, rel_type, position);

-- Requests with a transaction id, so that a repetition gets the first one's answer.
CREATE TABLE transaction_ids (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    txn_id TEXT NOT NULL,
    event_id TEXT,
    response {blob},
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, device_id, endpoint, txn_id)
) {clustered};
CREATE INDEX transaction_ids_created ON transaction_ids (created_ms);
CREATE INDEX transaction_ids_event ON transaction_ids (event_id);
