"""Checks a model's files before it is opened, and the model after that. Each error is one line that names the cause."""
