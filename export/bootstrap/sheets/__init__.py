"""Sheets in CSV on which people label the hits of queries."""
