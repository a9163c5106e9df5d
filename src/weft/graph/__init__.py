"""A room's event graph: what an event does to it. Values in, values out; no I/O."""
