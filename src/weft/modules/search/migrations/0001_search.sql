-- The words of events, by position. The words are found by this server, not by the databases, so that both find the
-- same: what they are given is words with spaces between them, or a vector of them, and nothing to interpret.

-- only: sqlite
CREATE VIRTUAL TABLE search_words USING fts5 (body, name, topic, content = '', contentless_delete = 1, tokenize = 'ascii');
-- end
-- only: postgres
CREATE TABLE search_words (
    position BIGINT PRIMARY KEY,
    key TEXT NOT NULL,
    words TSVECTOR NOT NULL
);
CREATE INDEX search_words_words ON search_words USING gin (words);
-- end
