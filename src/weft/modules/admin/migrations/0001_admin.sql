-- Numbers used once by those who make accounts with the server's shared secret.

CREATE TABLE registration_nonces (
    nonce TEXT PRIMARY KEY,
    expires_ms BIGINT NOT NULL
) {clustered};
CREATE INDEX registration_nonces_expiry ON registration_nonces (expires_ms);
