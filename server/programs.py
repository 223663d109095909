"""The names of the programs in help and errors: the wheel `chaja-server` installs them as commands."""

INSTALLED = __package__ != "server"
"""Whether this is the wheel, which renames this package (deploy/wheel/rename.py)."""

SERVER = "chaja-server" if INSTALLED else "python -m server"
EXPORTER = "chaja-export" if INSTALLED else "python -m export"

SERVER_ERROR = f"{SERVER.rsplit(maxsplit=1)[-1]}: error"
EXPORTER_ERROR = f"{EXPORTER.rsplit(maxsplit=1)[-1]}: error"
"""The beginning of an error line, as argparse would write it."""

RENEW_NATIVE_ENCODER = (
    "install the wheel again: pip install --force-reinstall chaja-server"
    if INSTALLED
    else "run rm -f server/encoding/native/compiled/libencoder.so; make native"
)
"""The advice when the compiled library is missing, damaged or old."""
