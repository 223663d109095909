-- Changes that were acknowledged, and that a server has missed here: at most one row for each origin of the log. As long
-- as one is not accepted, no server uses the log.
CREATE TABLE lost_changes (
    origin TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    found_seconds DOUBLE PRECISION NOT NULL,
    accepted_seconds DOUBLE PRECISION
);

-- The `log` table that `origin` was recorded in. A dump that is restored in the same database makes another one.
ALTER TABLE log ADD COLUMN table_oid BIGINT;
UPDATE log SET table_oid = 'log'::regclass::oid::bigint;
