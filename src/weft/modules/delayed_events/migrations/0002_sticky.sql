-- For how many milliseconds an event is sticky once it is sent.
ALTER TABLE delayed_events ADD COLUMN sticky_ms BIGINT;
