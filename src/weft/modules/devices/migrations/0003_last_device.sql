-- Which device the newest numbered change was of.
ALTER TABLE device_lists ADD COLUMN device_id TEXT NOT NULL DEFAULT '';
