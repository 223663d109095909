"""Writes the rows of changed documents to PostgreSQL in one statement: one round trip for one document or many.

The parameters are arrays in binary format. COPY is not faster (measured for 256 and 2,000 documents), takes two round
trips for each table, and cannot replace rows.
"""

from server.catalogue.databases.connection import Connection
from server.catalogue.databases.document_rows import DocumentRows

# The parts of a statement see the tables as they were before it, but not in the order in which they are written here:
# a part waits for another one only where it reads what that one returns.
_WRITE = """
WITH retired AS (
    UPDATE documents SET retired_seconds = ? WHERE sequence = ANY(?::bigint[]) RETURNING 1
), written AS (
    INSERT INTO documents (sequence, id, retired_seconds, checksum, content)
    SELECT sequence, id, CASE WHEN is_retired THEN ?::float8 END, checksum, content
    FROM unnest(?::bigint[], ?::text[], ?::bool[], ?::bigint[], ?::bytea[])
    AS new (sequence, id, is_retired, checksum, content)
    -- After the others are retired: an id has one live version.
    WHERE (SELECT count(*) FROM retired) >= 0
    RETURNING sequence
), kept AS (
    DELETE FROM deletions WHERE id = ANY(?::text[])
), deleted AS (
    INSERT INTO deletions (sequence, id) SELECT sequence, id FROM unnest(?::bigint[], ?::text[]) AS new (sequence, id)
), encoded AS (
    SELECT * FROM unnest(?::bigint[], ?::text[], ?::bigint[], ?::bigint[], ?::bytea[], ?::bytea[])
    AS new (sequence, revision, spans_checksum, matrix_checksum, spans, matrix)
), added AS (
    INSERT INTO revisions (revision, used_seconds)
    SELECT DISTINCT revision, ?::float8 FROM encoded WHERE revision NOT IN (SELECT revision FROM revisions)
    -- Another server may insert it at the same time.
    ON CONFLICT (revision) DO UPDATE SET used_seconds = excluded.used_seconds
    RETURNING number, revision
)
INSERT INTO vectors (sequence, revision, spans_checksum, matrix_checksum, spans, matrix)
SELECT sequence, number, spans_checksum, matrix_checksum, spans, matrix
FROM encoded JOIN (SELECT number, revision FROM revisions UNION ALL SELECT number, revision FROM added) AS known
USING (revision)
WHERE sequence IN (
    SELECT sequence FROM written UNION ALL SELECT sequence FROM documents WHERE sequence = ANY(?::bigint[])
)
-- Servers may store the same vectors at the same time: in the same order, they wait for each other without a deadlock.
ORDER BY sequence
ON CONFLICT (sequence, revision) DO UPDATE
SET spans_checksum = excluded.spans_checksum, matrix_checksum = excluded.matrix_checksum,
    spans = excluded.spans, matrix = excluded.matrix
"""


def write_document_rows(connection: Connection, rows: DocumentRows) -> None:
    """Writes rows; see `Connection.write_documents`."""
    documents, deletions, vectors = (
        [list(column) for column in zip(*some, strict=True)] or [[] for _ in range(width)]
        for some, width in ((rows.documents, 5), (rows.deletions, 2), (rows.vectors, 6))
    )
    now, ids = rows.now_seconds, documents[1]
    connection.execute(_WRITE, (now, list(rows.retired), now, *documents, ids, *deletions, *vectors, now, vectors[0]))
