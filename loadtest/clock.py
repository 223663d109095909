"""The clock that everything is timed by: all processes of a machine share it, and nobody sets it."""

import time

now_ns = time.monotonic_ns
