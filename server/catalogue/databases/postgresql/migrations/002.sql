-- When a server has last used the vectors of a model. Those that none uses any more are deleted.
ALTER TABLE revisions ADD COLUMN used_seconds DOUBLE PRECISION NOT NULL DEFAULT 0;
UPDATE revisions SET used_seconds = extract(epoch FROM clock_timestamp());
