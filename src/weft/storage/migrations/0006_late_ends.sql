-- late: it is an end of the graph though other events follow it, whose states lack what it says.
ALTER TABLE forward_extremities ADD COLUMN late SMALLINT NOT NULL DEFAULT 0;
