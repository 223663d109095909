"""Silences the libraries that open models."""

from __future__ import annotations

import logging
import warnings


def silence_libraries() -> None:
    """Silences hints of the tracer, deprecations and progress bars, on which users cannot act, in the whole process."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
