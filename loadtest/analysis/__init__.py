"""Turns results into summaries, timelines, verdicts and comparisons."""
