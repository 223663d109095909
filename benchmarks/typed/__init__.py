"""Queries as people type them, with slips of keyboards and fingers, and the recall of a server that gets them."""
