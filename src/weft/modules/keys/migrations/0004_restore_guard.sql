-- By what a database is known again: see restore_guard.py. One row.
CREATE TABLE restore_guard (
    id INTEGER NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (id)
) {clustered};
