"""Benchmarks: all contenders run alternately in one run. `make bench` runs the comparison of encoders."""

import server  # noqa: F401  Disables the telemetry of ONNX Runtime, which the benchmarks import before the server.
