"""What results say: summaries, timelines, verdicts, comparisons."""
