"""The compiled library: its path, the CPU features that it needs, and its C types in Python."""

import ctypes
import functools
import hashlib
import logging
from ctypes import c_int32, c_void_p
from pathlib import Path

from server.encoding.cpu import cpuinfo
from server.programs import RENEW_NATIVE_ENCODER

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("encoder.c")
LIBRARY = Path(__file__).parent / "compiled" / "libencoder.so"
"""In a separate folder, so that Python does not import it as a module."""

NEEDED_FLAGS = frozenset(
    (
        *("avx512_vnni", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
        *("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"),
    )
)
"""The CPU features that the code is compiled for (x86-64-v4 with VNNI), by their names in /proc/cpuinfo."""


class Product(ctypes.Structure):
    """`product` of product.h."""

    _fields_ = (
        *((name, c_int32) for name in ("inputs", "outputs")),
        *((name, c_void_p) for name in ("weight", "weight_scale", "bias", "column_sum")),
    )


class Norm(ctypes.Structure):
    """`norm` of rows.h."""

    _fields_ = (("gain", c_void_p), ("bias", c_void_p), ("epsilon", ctypes.c_float))


class Layer(ctypes.Structure):
    """`layer` of encoder.c."""

    _fields_ = (
        *((name, Product) for name in ("query_key_value", "attention_output", "intermediate", "output")),
        *((name, Norm) for name in ("attention_norm", "output_norm")),
    )


class EncoderStruct(ctypes.Structure):
    """`encoder` of encoder.c."""

    _fields_ = (
        *((name, c_int32) for name in ("hidden", "embedding", "inner", "heads", "layer_count", "pooling", "normalise")),
        *((name, c_void_p) for name in ("words", "word_scales", "positions")),
        ("embedding_norm", Norm),
        ("projection", ctypes.POINTER(Product)),
        ("layers", ctypes.POINTER(Layer)),
        *((name, c_void_p) for name in ("gelu_coefficients", "distance_bias")),
    )


def cpu_can_run() -> bool:
    """Returns whether this CPU has the instructions that the library is compiled for."""
    return NEEDED_FLAGS.issubset(cpuinfo("flags").split())


def source_digest() -> int:
    """Returns a hash of the current sources."""
    digest = hashlib.sha256()
    for path in sorted((SOURCE, *SOURCE.parent.glob("*.h"))):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:8], "little")


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """Returns the library; None if this CPU cannot run it, or it was not built from the current sources.

    Calls of the library release the GIL.
    """
    if not cpu_can_run():
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
        digest_of = library.chaja_source_digest
    except (OSError, AttributeError):
        log.warning(
            "the native encoder is not built, or damaged: %s. Until then ONNX Runtime is used, which is slower",
            RENEW_NATIVE_ENCODER,
        )
        return None
    digest_of.restype = ctypes.c_uint64
    digest_of.argtypes = []
    if digest_of() != source_digest():
        log.warning(
            "the native encoder was built from other sources: %s. Until then ONNX Runtime is used, which is slower",
            RENEW_NATIVE_ENCODER,
        )
        return None
    library.chaja_workspace_bytes.restype = ctypes.c_size_t
    encoder = ctypes.POINTER(EncoderStruct)
    library.chaja_workspace_bytes.argtypes = [encoder, c_int32, c_int32]
    library.chaja_encode.restype = None
    library.chaja_encode.argtypes = [encoder, c_int32, c_void_p, c_void_p, c_int32, c_void_p, c_void_p]
    library.chaja_multiply_only.restype = c_int32
    library.chaja_multiply_only.argtypes = [ctypes.c_int64]
    return library
