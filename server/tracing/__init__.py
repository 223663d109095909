"""Traces of calls, exported to a collector over OTLP (`--trace-endpoint`).

A traced call has a server span, and a span for each stage. An encoded batch has a span of a separate trace, linked to
the spans of its calls. The spans are made when their times are known, so that the path of a query stays the same.
Without `--trace-endpoint` nothing imports OpenTelemetry.
"""
