-- Contents, each kept once. hash: SHA-256, hexadecimal. location: the name under which the bytes are kept; never used twice,
-- so that a file which is being removed is never one that just came in.
CREATE TABLE media_files (
    hash TEXT PRIMARY KEY,
    location TEXT NOT NULL UNIQUE,
    size BIGINT NOT NULL
) {clustered};

-- Files that nothing refers to any more and that are still to be removed.
CREATE TABLE media_garbage (
    location TEXT PRIMARY KEY
) {clustered};

-- hash: NULL while the content is awaited (until expires_ms), and for what is known of remote media without having it.
-- remote: 1 for the cache of other servers' media. user_id: who uploaded it here; the size then counts as theirs.
-- authenticated: 1 where it is not to be had without an access token.
CREATE TABLE media (
    server_name TEXT NOT NULL,
    media_id TEXT NOT NULL,
    remote SMALLINT NOT NULL,
    hash TEXT,
    size BIGINT NOT NULL DEFAULT 0,
    content_type TEXT,
    file_name TEXT,
    user_id TEXT,
    created_ms BIGINT NOT NULL,
    used_ms BIGINT,
    expires_ms BIGINT,
    authenticated SMALLINT NOT NULL,
    protected SMALLINT NOT NULL DEFAULT 0,
    quarantined_by TEXT,
    PRIMARY KEY (server_name, media_id)
) {clustered};
CREATE INDEX media_hash ON media (hash);
CREATE INDEX media_user ON media (user_id, created_ms);
CREATE INDEX media_use ON media (remote, used_ms);
CREATE INDEX media_expiry ON media (expires_ms) WHERE expires_ms IS NOT NULL;

-- Pictures made of media, with the size that they were made for. They go when it goes.
CREATE TABLE media_thumbnails (
    server_name TEXT NOT NULL,
    media_id TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    method TEXT NOT NULL,
    animated SMALLINT NOT NULL,
    hash TEXT NOT NULL,
    size BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    PRIMARY KEY (server_name, media_id, width, height, method, animated)
) {clustered};
CREATE INDEX media_thumbnails_hash ON media_thumbnails (hash);

-- Bytes that count against a limit. owner: a user id; empty: the cache of remote media, its thumbnails included.
CREATE TABLE media_totals (
    owner TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL
) {clustered};

-- Contents that nobody is given, under whatever name they come.
CREATE TABLE media_quarantine (
    hash TEXT PRIMARY KEY,
    quarantined_by TEXT NOT NULL
) {clustered};
