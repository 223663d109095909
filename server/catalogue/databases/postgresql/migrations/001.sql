-- The end of the log, in one row. Each transaction that writes locks it first: so transactions end in the order of
-- their sequences, and a reader who has seen one sequence never later sees a smaller one appear.
-- `origin` is the cluster, the database and the timeline that the log was last written in. If they differ, this is a
-- copy, or a promoted replica: the next change follows a gap that ends with `gap_last`.
CREATE TABLE log (
    id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    gap_last BIGINT,
    origin TEXT NOT NULL
);
CREATE UNIQUE INDEX log_has_one_row ON log ((true));

CREATE TABLE facts (name TEXT COLLATE "C" PRIMARY KEY, value TEXT NOT NULL);

-- One row for each version of a document. A replaced version stays for a minute, so that searches that have found it
-- can still fetch it. Only the live version has no retired_seconds.
CREATE TABLE documents (
    sequence BIGINT PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL,
    retired_seconds DOUBLE PRECISION,
    checksum BIGINT NOT NULL,
    content BYTEA NOT NULL
);
CREATE UNIQUE INDEX documents_live ON documents (id) WHERE retired_seconds IS NULL;
CREATE INDEX documents_retired ON documents (retired_seconds) WHERE retired_seconds IS NOT NULL;

CREATE TABLE deletions (sequence BIGINT PRIMARY KEY, id TEXT COLLATE "C" NOT NULL);
CREATE INDEX deletions_id ON deletions (id);

-- The vectors of documents by model. Floats do not compress.
CREATE TABLE revisions (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision TEXT COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE vectors (
    sequence BIGINT NOT NULL,
    revision BIGINT NOT NULL REFERENCES revisions (number),
    spans_checksum BIGINT NOT NULL,
    matrix_checksum BIGINT NOT NULL,
    spans BYTEA NOT NULL,
    matrix BYTEA NOT NULL,
    PRIMARY KEY (sequence, revision)
);
ALTER TABLE vectors ALTER COLUMN matrix SET STORAGE EXTERNAL;

-- Answered calls by request_id: a repeated call gets the same answer.
CREATE TABLE requests (
    request_id TEXT COLLATE "C" PRIMARY KEY,
    seconds DOUBLE PRECISION NOT NULL,
    digest BYTEA NOT NULL,
    outcomes BYTEA NOT NULL
);
CREATE INDEX requests_seconds ON requests (seconds);

CREATE TABLE import_positions (
    import_id TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL,
    seconds DOUBLE PRECISION NOT NULL
);

-- The digest of each document in the catalogue file when it was last imported.
CREATE TABLE file_documents (id TEXT COLLATE "C" PRIMARY KEY, digest BYTEA NOT NULL);

-- Sequences that this store does not use, because another copy of it may have used them.
CREATE TABLE gaps (first BIGINT PRIMARY KEY, last BIGINT NOT NULL);

-- Rules of all kinds, such as synonyms. A deleted rule stays without content, since its sequence was used.
CREATE TABLE rules (
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    sequence BIGINT NOT NULL UNIQUE,
    checksum BIGINT NOT NULL,
    content BYTEA,
    PRIMARY KEY (kind, id)
);

-- The digest of each rule in the file of its kind when it was last imported.
CREATE TABLE file_rules (
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (kind, id)
);

-- What users did with the hits of searches. `event` is a hash of all that makes two reports the same event, `user` a
-- keyed hash of the user. `rowid` has the order of arrival, as in SQLite.
CREATE TABLE feedback (
    rowid BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event BYTEA NOT NULL UNIQUE,
    seconds BIGINT NOT NULL,
    "user" BYTEA NOT NULL,
    query TEXT COLLATE "C" NOT NULL,
    document TEXT COLLATE "C" NOT NULL,
    kind BIGINT NOT NULL,
    rank BIGINT NOT NULL,
    checksum BIGINT NOT NULL
);
CREATE INDEX feedback_user ON feedback ("user", seconds);
CREATE INDEX feedback_seconds ON feedback (seconds);

-- The example queries that learning from feedback has added to documents.
CREATE TABLE promotions (
    document TEXT COLLATE "C" NOT NULL,
    example TEXT COLLATE "C" NOT NULL,
    seconds BIGINT NOT NULL,
    users BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (document, example)
);
