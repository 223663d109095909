"""The systems that are compared. Each is cheap to make, and does its work in its first search."""
