-- main: 0 for a room that is only in the directories of third-party networks, which application services keep.
ALTER TABLE published_rooms ADD COLUMN main SMALLINT NOT NULL DEFAULT 1;

-- A room in the directory of one network: service_id says whose, network_id which.
CREATE TABLE network_rooms (
    service_id TEXT NOT NULL,
    network_id TEXT NOT NULL,
    room BIGINT NOT NULL,
    PRIMARY KEY (service_id, network_id, room)
) {clustered};
CREATE INDEX network_rooms_room ON network_rooms (room);
