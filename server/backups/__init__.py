"""Backups of the store that the server makes at an interval (`--backup-directory`)."""
