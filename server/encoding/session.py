"""Opens a graph in ONNX Runtime with the options that all layouts share."""

from pathlib import Path

import onnxruntime

from server.encoding.cpu import products_saturate
from server.errors import BundleError, first_line

OUTPUT = "sentence_embedding"
"""Name of the graph's output, the pooled vectors `[N, dimension]`."""


def open_session(path: Path, inputs: set[str]) -> tuple[onnxruntime.InferenceSession, int]:
    """Opens a graph; returns the session, which threads may share, and its vectors' dimension.

    Raises BundleError if the file is not a graph, or has other inputs than `inputs`, or other outputs.
    """
    options = onnxruntime.SessionOptions()
    # The workers run in parallel instead: two runs with one thread each are faster than two threads in one run. With
    # one thread there is no pool, whose threads would spin while they wait.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # Errors are raised as well, and reported in one line.
    if products_saturate():
        # Use exact kernels: the fast ones would silently compute wrong vectors. Other CPUs would only become slower.
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # The library's errors have no common base class.
        raise BundleError(
            f"{path} is not a model that ONNX Runtime can load; export the model again ({first_line(error)})"
        ) from None
    actual_inputs = {each.name for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if actual_inputs != inputs or OUTPUT not in outputs or not isinstance(outputs[OUTPUT][-1], int):
        raise BundleError(
            f"{path} has the inputs {sorted(actual_inputs)} and the outputs {outputs}, "
            f"expected {sorted(inputs)} and {OUTPUT} with a fixed dimension; export the model again"
        )
    return session, outputs[OUTPUT][-1]
