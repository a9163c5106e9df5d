-- Local users as others find them. hidden: accounts that have ended.
CREATE TABLE user_directory (
    user_id TEXT PRIMARY KEY,
    display_name TEXT,
    avatar_url TEXT,
    hidden SMALLINT NOT NULL DEFAULT 0
) {clustered};

-- The words of their names, folded, and every ending of each word, so that a part of a word is the beginning of a term.
-- starts: 1 where the term is a whole word.
CREATE TABLE user_directory_terms (
    term TEXT {binary_order} NOT NULL,
    user_id TEXT NOT NULL,
    starts SMALLINT NOT NULL,
    PRIMARY KEY (term, user_id)
) {clustered};
CREATE INDEX user_directory_terms_user ON user_directory_terms (user_id);
