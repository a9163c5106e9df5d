-- What administrators list, search and sort rooms by: made from the room's state `snapshot`, and made anew when the
-- room's is another.
CREATE TABLE room_overviews (
    room BIGINT PRIMARY KEY,
    snapshot BIGINT NOT NULL,
    name TEXT,
    canonical_alias TEXT,
    joined BIGINT NOT NULL,
    joined_local BIGINT NOT NULL,
    creator TEXT,
    encryption TEXT,
    federatable SMALLINT NOT NULL,
    join_rules TEXT,
    guest_access TEXT,
    history_visibility TEXT,
    state_events BIGINT NOT NULL,
    room_type TEXT
);

-- Rooms that nobody of this server gets into. lasting: 0 for one that is just being deleted.
CREATE TABLE blocked_rooms (
    room_id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    lasting SMALLINT NOT NULL
) {clustered};
