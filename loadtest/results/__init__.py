"""The results file: one record per request, the generator's vitals and the server's metrics."""
