"""Compiles the library: `python -m server.encoding.native.build`, or `make native`.

The compiler is Clang from the package `ziglang`: every machine has the same version and needs no system compiler. (GCC
12 keeps the sums of a tile in memory instead of in registers, which is much slower.)
"""

import subprocess
import sys

from server.encoding.native.library import LIBRARY, SOURCE, cpu_can_run, source_digest

FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O3", "-march=x86_64_v4+avx512vnni", "-fPIC", "-shared"]


def main() -> int:
    """Compiles for this machine, or prints why it does not; returns the exit code."""
    if not cpu_can_run():
        print("native: this CPU has no AVX-512 with VNNI; ONNX Runtime will run the encoder", file=sys.stderr)
        return 0
    LIBRARY.parent.mkdir(exist_ok=True)
    fresh = LIBRARY.with_suffix(".new")
    digest = f"-DSOURCE_DIGEST={source_digest()}u"
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, digest, "-o", str(fresh), str(SOURCE), "-lm"]
    compiled = subprocess.run(command, check=False)
    if compiled.returncode == 0:
        fresh.replace(LIBRARY)  # Atomic: a running server keeps the library that it has mapped.
    return compiled.returncode


if __name__ == "__main__":
    sys.exit(main())
