"""Peak memory of one contender, in a process of its own: `python -m benchmarks.memory NAME PLACE WORKLOAD`."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Workload


def peak_bytes(name: str, place: Path, workload: Path) -> int:
    """Returns the largest resident set of a process that opens a contender and encodes the texts once."""
    command = [sys.executable, "-m", "benchmarks.memory", name, str(place), str(workload)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Encodes, and prints the peak in bytes."""
    name, place, workload = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    settings = CONTENDERS[name](place, Workload(**json.loads(workload.read_text(encoding="utf-8"))))
    settings[0].encode()
    # Not getrusage: its maximum is inherited from the process that started this one.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main()
