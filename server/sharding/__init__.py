"""Searches several index shards as one index: who has which document, what shards are asked, how answers are merged."""
