-- The device of a user that nobody is logged in on: it takes messages in for a login to come.
CREATE TABLE dehydrated_devices (
    user_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_data {blob} NOT NULL,
    PRIMARY KEY (user_id)
) {clustered};
