"""Measures the load tester: its speed, punctuality and memory, and its agreement with h2load."""
