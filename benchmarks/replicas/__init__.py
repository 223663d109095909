"""Several servers on one database: what a client notices, and what is lost, while they and the database are killed."""
