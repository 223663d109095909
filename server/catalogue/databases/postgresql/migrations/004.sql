-- Changes that were acknowledged, and that a server has missed here. `first` is the first sequence that the log has
-- lost, `sequence` the one that was missed. As long as one loss is not accepted, no server uses the log.
CREATE TABLE lost_changes (
    first BIGINT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    found_seconds DOUBLE PRECISION NOT NULL,
    accepted_seconds DOUBLE PRECISION
);

-- The `log` table that `origin` was recorded in. A dump that is restored in the same database makes another one.
ALTER TABLE log ADD COLUMN table_oid BIGINT;
UPDATE log SET table_oid = 'log'::regclass::oid::bigint;

-- Vectors stay in the row as long as it fits into a page: so they are read in a third of the time.
ALTER TABLE vectors SET (toast_tuple_target = 8160);

-- Rows of `revisions` are never deleted, and each check would lock one.
ALTER TABLE vectors DROP CONSTRAINT vectors_revision_fkey;
