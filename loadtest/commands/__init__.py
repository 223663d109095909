"""The command line: one module for each command, a thin layer over the library."""
