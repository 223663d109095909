"""The vectors of the server's probes, which a bundle holds so that a server starts faster."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.quality.cores import Encode, encode_all
from server.encoding.kind import TextKind
from server.ranking.probes import probe_texts, probes_file


def write_probes(directory: Path, encode: Encode) -> None:
    """Encodes the probes as queries, and writes their vectors to a bundle."""
    np.save(directory / probes_file(), encode_all(encode, [(text, TextKind.QUERY) for text in probe_texts()]))
