"""The results file: one record a request, and what the generator and the server said of themselves meanwhile."""
