"""The name of the program in help and errors: the wheel `chaja-loadtest` installs it as a command."""

INSTALLED = __package__ != "loadtest"
"""Whether this is the wheel, which renames this package (deploy/wheel/rename.py)."""

PROGRAM = "chaja-loadtest" if INSTALLED else "python -m loadtest"

ERROR = f"{PROGRAM.rsplit(maxsplit=1)[-1]}: error"
"""The beginning of an error line, as argparse would write it."""
