"""The shard of a document. All servers must agree on it, so it never changes."""

from hashlib import blake2b


def shard_of(id: str, count: int) -> int:
    """Returns the number of the shard, below `count`, that has the document with an id."""
    digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % count
