-- Servers that have not got everything: what lies beyond the vector (a row for each writer) may be missing there.
CREATE TABLE behind_destinations (
    server_name TEXT NOT NULL,
    writer INTEGER NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (server_name, writer)
) {clustered};
