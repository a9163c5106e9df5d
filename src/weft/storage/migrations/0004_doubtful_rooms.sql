-- Rooms of whose state some events could not be verified when they were needed: what is refused by such a state is looked
-- at twice. until_ms: when nobody builds any more on what was taken in without those events.
CREATE TABLE doubtful_rooms (
    room BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (room)
) {clustered};
