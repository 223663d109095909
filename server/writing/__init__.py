"""Changes in, durable documents out: encodes them, commits them, and lets the index follow before it says so."""
