"""Compiles the library: `python -m server.encoding.native.build`, or `make native`. The wheel's build does so, too.

The compiler is Clang from the package `ziglang`: every machine has the same version and needs no system compiler. (GCC
12 keeps the sums of a tile in memory instead of in registers, which is much slower.)
"""

import subprocess
import sys
from pathlib import Path

from server.encoding.native.library import LIBRARY, SOURCE, cpu_can_run, source_digest

GLIBC = "2.17"
"""The oldest glibc that can load the library. No dependency of the server supports an older one."""

TARGET = ["-target", f"x86_64-linux-gnu.{GLIBC}", "-march=x86_64_v4+avx512vnni"]
FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O3", "-g0", *TARGET, "-fPIC", "-shared"]


def compile_library(out: Path) -> int:
    """Compiles on any machine for x86-64 with AVX-512 and VNNI; returns the compiler's exit code.

    The file depends on the sources alone, not on their path or on the machine.
    """
    digest = f"-DSOURCE_DIGEST={source_digest()}u"
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, digest, "-o", str(out), SOURCE.name, "-lm"]
    return subprocess.run(command, cwd=SOURCE.parent, check=False).returncode


def main() -> int:
    """Compiles for this machine, or prints why it does not; returns the exit code."""
    if not cpu_can_run():
        print("native: this CPU has no AVX-512 with VNNI; ONNX Runtime will run the encoder", file=sys.stderr)
        return 0
    LIBRARY.parent.mkdir(exist_ok=True)
    fresh = LIBRARY.with_suffix(".new")
    code = compile_library(fresh)
    if code == 0:
        fresh.replace(LIBRARY)  # Atomic: a running server keeps the library that it has mapped.
    return code


if __name__ == "__main__":
    sys.exit(main())
