"""Finds the documents that a model has encoded already, many at a time."""

from collections.abc import Sequence

from server.catalogue.checksums import checksum_of
from server.catalogue.databases.connection import Connection


def encoded_contents(connection: Connection, ids: Sequence[str], revision: str) -> dict[str, bytes]:
    """Returns the contents of the existing documents among `ids` that have vectors of a model, by id.

    Damaged documents count as missing: the caller is about to replace them.
    """
    if not ids:
        return {}
    rows = connection.execute(
        "SELECT d.id, d.content, d.checksum FROM documents d JOIN vectors v ON v.sequence = d.sequence "  # noqa: S608
        "JOIN revisions r ON r.number = v.revision "
        f"WHERE r.revision = ? AND d.retired_seconds IS NULL AND d.id IN ({', '.join('?' * len(ids))})",
        (revision, *ids),
    )
    return {id: content for id, content, checksum in rows if checksum_of(id.encode(), content) == checksum}
