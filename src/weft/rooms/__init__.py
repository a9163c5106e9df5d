"""The only way to change a room, and the way to look at one."""
