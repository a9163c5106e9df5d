-- Until when the state by which this server entered a room may lack events that could not be verified then.

ALTER TABLE doubtful_rooms ADD COLUMN incomplete_until_ms BIGINT NOT NULL DEFAULT 0;
