-- How far each application service has been told of the log, and what it is being told: a transaction that it may have
-- got already is sent again as it was. upto: a vector, spelled; body: NULL once the service has taken the transaction.
CREATE TABLE application_service_transactions (
    service_id TEXT NOT NULL,
    txn_id TEXT NOT NULL,
    upto TEXT NOT NULL,
    body {blob},
    PRIMARY KEY (service_id)
) {clustered};
