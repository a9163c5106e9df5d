-- federated: 0 for a room that only users of its own server may be in. It is made from the state with the rest.
ALTER TABLE published_rooms ADD COLUMN federated SMALLINT NOT NULL DEFAULT 1;
UPDATE published_rooms SET snapshot = NULL;
