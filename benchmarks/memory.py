"""Peak memory of one contender, measured in a separate process."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Workload


def peak_bytes(name: str, place: Path, workload: Workload) -> int:
    """Returns the largest resident set of a process that opens a contender and encodes the texts once."""
    command = [sys.executable, "-m", "benchmarks.memory", name, str(place)]
    texts = json.dumps(asdict(workload))
    return int(subprocess.run(command, input=texts, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    """Encodes, and prints the peak in bytes."""
    name, place = sys.argv[1], Path(sys.argv[2])
    settings = CONTENDERS[name](place, Workload(**json.load(sys.stdin)))
    settings[0].encode()
    # Not getrusage: a child process inherits its parent's maximum.
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    print(1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main()
