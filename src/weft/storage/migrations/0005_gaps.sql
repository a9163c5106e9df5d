-- accepted: one of the events that build on the missing one was accepted, and is not only kept.
ALTER TABLE missing_events ADD COLUMN accepted SMALLINT NOT NULL DEFAULT 1;
