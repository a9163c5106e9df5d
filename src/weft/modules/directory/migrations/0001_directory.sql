-- Addresses of rooms (#name:domain), each of one of this server's domains.
CREATE TABLE room_aliases (
    alias TEXT NOT NULL,
    room BIGINT NOT NULL,
    creator TEXT NOT NULL,
    PRIMARY KEY (alias)
) {clustered};
CREATE INDEX room_aliases_room ON room_aliases (room);

-- The public directory. What is shown and searched is made from the room's state `snapshot`, and made anew when the
-- room's is another; NULL: not made yet. words: name, topic and alias, case folded. shown: 0 where the room is not to
-- be listed although it is published. chunk: what clients get, as JSON.
CREATE TABLE published_rooms (
    room BIGINT PRIMARY KEY,
    snapshot BIGINT,
    joined BIGINT NOT NULL DEFAULT 0,
    shown SMALLINT NOT NULL DEFAULT 0,
    room_type TEXT,
    words TEXT NOT NULL DEFAULT '',
    chunk {blob}
);
CREATE INDEX published_rooms_order ON published_rooms (joined, room);
