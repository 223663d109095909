"""Whether the store keeps what it has acknowledged: over the real server, killed, damaged, and on a full disk."""
