"""Merchandising: rules that pin, bury or boost documents for queries, and the table that finds the rules of a query."""
