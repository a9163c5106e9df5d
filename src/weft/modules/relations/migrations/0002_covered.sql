-- What the indexes in graph order serve too, each by its first columns: every search for what relates to an event, or
-- for the threads of a room, goes by those, and no order but that of the graph is asked for.

DROP INDEX relations_threads;
DROP INDEX relations_target;
