-- What administrators asked for and takes longer than a request. arguments, result: JSON. subject: the room or user.
CREATE TABLE admin_jobs (
    job_id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    requester TEXT NOT NULL,
    arguments {blob} NOT NULL,
    status TEXT NOT NULL,
    result {blob} NOT NULL,
    error TEXT,
    changed_ms BIGINT NOT NULL
) {clustered};
CREATE INDEX admin_jobs_subject ON admin_jobs (subject);
CREATE INDEX admin_jobs_changed ON admin_jobs (changed_ms);
