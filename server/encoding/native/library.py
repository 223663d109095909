"""The compiled library: where it lies, whether this CPU can run it, and its C types in Python."""

import ctypes
import functools
import hashlib
import logging
import platform
from pathlib import Path

from server.encoding.cpu import cpuinfo

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("encoder.c")
LIBRARY = Path(__file__).parent / "compiled" / "libencoder.so"
"""In a folder of its own, since Python takes it for a module where it looks for some."""

NEEDED_FLAGS = frozenset(
    (
        *("avx512_vnni", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"),
        *("abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"),
    )
)
"""What the code was compiled for (x86-64-v4 with VNNI), as /proc/cpuinfo calls it."""


class Product(ctypes.Structure):
    """`product` of product.h."""

    _fields_ = (
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("weight", ctypes.c_void_p),
        ("weight_scale", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("column_sum", ctypes.c_void_p),
    )


class Norm(ctypes.Structure):
    """`norm` of rows.h."""

    _fields_ = (("gain", ctypes.c_void_p), ("bias", ctypes.c_void_p), ("epsilon", ctypes.c_float))


class Layer(ctypes.Structure):
    """`layer` of encoder.c."""

    _fields_ = (
        ("query_key_value", Product),
        ("attention_output", Product),
        ("intermediate", Product),
        ("output", Product),
        ("attention_norm", Norm),
        ("output_norm", Norm),
    )


class EncoderStruct(ctypes.Structure):
    """`encoder` of encoder.c."""

    _fields_ = (
        ("hidden", ctypes.c_int32),
        ("embedding", ctypes.c_int32),
        ("inner", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("layer_count", ctypes.c_int32),
        ("pooling", ctypes.c_int32),
        ("normalise", ctypes.c_int32),
        ("words", ctypes.c_void_p),
        ("word_scales", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("embedding_norm", Norm),
        ("projection", ctypes.POINTER(Product)),
        ("layers", ctypes.POINTER(Layer)),
        ("gelu_coefficients", ctypes.c_void_p),
        ("distance_bias", ctypes.c_void_p),
    )


def cpu_can_run(machine: str | None = None, flags: frozenset[str] | None = None) -> bool:
    """Whether a CPU (this one unless told otherwise) has the instructions that the library is compiled for."""
    machine = platform.machine() if machine is None else machine
    flags = frozenset(cpuinfo("flags").split()) if flags is None else flags
    return machine.lower() in ("x86_64", "amd64") and flags >= NEEDED_FLAGS


def source_digest() -> int:
    """Returns a number that stands for the sources as they are now."""
    digest = hashlib.sha256()
    for path in sorted((SOURCE, *SOURCE.parent.glob("*.h"))):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:8], "little")


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """Returns the library; None where the CPU cannot run it, or it is not built of these sources.

    Its calls release the GIL.
    """
    if not cpu_can_run():
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
        digest_of = library.chaja_source_digest
    except (OSError, AttributeError):
        log.warning(
            "the native encoder is not built, or damaged: run rm -f %s; make native. Until then ONNX Runtime does it "
            "at half the speed",
            LIBRARY,
        )
        return None
    digest_of.restype = ctypes.c_uint64
    digest_of.argtypes = []
    if digest_of() != source_digest():
        log.warning("the native encoder is built of other sources: run make native; until then ONNX Runtime is used")
        return None
    library.chaja_workspace_bytes.restype = ctypes.c_size_t
    library.chaja_workspace_bytes.argtypes = [ctypes.POINTER(EncoderStruct), ctypes.c_int32, ctypes.c_int32]
    library.chaja_encode.restype = None
    library.chaja_encode.argtypes = [
        ctypes.POINTER(EncoderStruct),
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.chaja_multiply_only.restype = ctypes.c_int32
    library.chaja_multiply_only.argtypes = [ctypes.c_int64]
    return library
