"""Measures the server from outside: how fast, how punctual, how it bends, and that nothing gets lost."""
