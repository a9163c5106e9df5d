-- What links lead to. json: as it is answered.
CREATE TABLE url_previews (
    url TEXT PRIMARY KEY,
    json {blob} NOT NULL,
    fetched_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
) {clustered};
CREATE INDEX url_previews_expiry ON url_previews (expires_ms);

-- The pictures of previews, and until when they are kept: those who were shown a preview may still look at it.
CREATE TABLE url_preview_pictures (
    server_name TEXT NOT NULL,
    media_id TEXT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (server_name, media_id)
) {clustered};
CREATE INDEX url_preview_pictures_until ON url_preview_pictures (until_ms);
