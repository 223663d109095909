"""The store's database in PostgreSQL, which several servers may share. It needs psycopg."""
