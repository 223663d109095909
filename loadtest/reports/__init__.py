"""Writes summaries for people and programs: text, Markdown, JSON, CSV, and a page of charts."""
