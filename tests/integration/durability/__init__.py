"""Tests that the store keeps every acknowledged write: with the real server, killed, damaged, and on a full disk."""
