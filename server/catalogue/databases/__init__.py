"""The databases that can hold a store, all with the same interface."""
