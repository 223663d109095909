"""The HTTP port for operators: metrics, probes and pages."""
