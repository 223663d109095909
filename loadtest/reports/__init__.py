"""What people read of a summary: pages, charts and tables."""
