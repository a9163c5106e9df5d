-- Finding the event that is nearest to a time.

CREATE INDEX events_time ON events (room, origin_server_ts);
