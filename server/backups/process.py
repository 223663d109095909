"""Makes one backup; `server.backups.schedule` runs this program.

    python -m server.backups.process DIR FILE

A separate process does not hold the server's GIL, and can be ended at any time. It ends with its parent.
"""

import sys
from pathlib import Path

from server.catalogue.database import back_up
from server.child import begin_child
from server.errors import ChajaError

NICENESS = 19


def main() -> int:
    """Backs up the store of the first argument to the second; prints the error. Returns the exit code."""
    begin_child(NICENESS)
    try:
        back_up(Path(sys.argv[1]), Path(sys.argv[2]))
    except ChajaError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
