"""Tests of what operators take from `deploy/`."""
