-- What relates to an event, and the newest events of a room's threads, in graph order.

CREATE INDEX relations_order ON relations (target, rel_type, depth, position);
CREATE INDEX relations_newest ON relations (room, rel_type, depth, position);
