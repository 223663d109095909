"""The store in SQLite and in PostgreSQL, side by side."""
