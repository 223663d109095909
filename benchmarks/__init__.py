"""Benchmarks: all contenders run alternately in one run. `make bench` runs the comparison of encoders."""
