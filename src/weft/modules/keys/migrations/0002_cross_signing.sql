-- The keys by which our users sign their devices and each other. usage: master, self_signing or user_signing.
CREATE TABLE cross_signing_keys (
    user_id TEXT NOT NULL,
    usage TEXT NOT NULL,
    public_key TEXT NOT NULL,
    key {blob} NOT NULL,
    PRIMARY KEY (user_id, usage)
) {clustered};

-- What our users have signed besides what they uploaded. target_key: the id of a device, or a public key.
CREATE TABLE key_signatures (
    target_user_id TEXT NOT NULL,
    target_key TEXT NOT NULL,
    user_id TEXT NOT NULL,
    key_id TEXT NOT NULL,
    signature TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (target_user_id, target_key, user_id, key_id)
) {clustered};
CREATE INDEX key_signatures_user ON key_signatures (user_id, position);
