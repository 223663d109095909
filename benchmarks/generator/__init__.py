"""Measures the load tester itself: how fast, how punctual, how large, and whether another tool agrees."""
