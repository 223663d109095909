"""Opens a graph in ONNX Runtime, with the settings that all layouts share."""

from pathlib import Path

import onnxruntime

from server.encoding.cpu import products_saturate
from server.errors import BundleError, first_line

OUTPUT = "sentence_embedding"
"""Name of the graph's output, the pooled vectors `[N, dimension]`."""


def open_session(path: Path, inputs: set[str]) -> tuple[onnxruntime.InferenceSession, int]:
    """Opens a graph that takes `inputs`; returns the session and the dimension of its vectors.

    The session may be shared between threads: each run takes one core.

    Raises:
        BundleError: It is no graph, or takes or gives something else.
    """
    options = onnxruntime.SessionOptions()
    # Workers run in parallel instead: two runs of one thread give more than one run of two threads. With one thread
    # there is no pool, and so nothing that spins while it waits.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # What goes wrong is raised as well, and told in one line.
    if products_saturate():
        # Exact kernels instead of fast ones that would give wrong vectors, silently. Elsewhere it would only cost
        # speed: a third of it with VNNI, in ONNX Runtime 1.32.
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The library has no common base for its errors.
        raise BundleError(
            f"{path} is not a model that ONNX Runtime can load; export the model again ({first_line(error)})"
        ) from None
    takes = {each.name for each in session.get_inputs()}
    gives = {each.name: each.shape for each in session.get_outputs()}
    if takes != inputs or OUTPUT not in gives or not isinstance(gives[OUTPUT][-1], int):
        raise BundleError(
            f"{path} takes {sorted(takes)} and gives {gives}, not {sorted(inputs)} and {OUTPUT} "
            "of a known dimension; export the model again"
        )
    return session, gives[OUTPUT][-1]
