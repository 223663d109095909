"""Benchmarks: rivals side by side in one run, on one core, taking turns. `make bench` runs them."""
