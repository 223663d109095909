"""The clock of all measurements: monotonic, and shared by all processes of a machine."""

import time

now_ns = time.monotonic_ns
