"""The similarity of two vectors. The bundle chooses the measure, and the index applies it."""

from __future__ import annotations

from typing import Literal

Similarity = Literal["cosine", "dot"]
"""The cosine of the angle between the vectors, or their inner product, which depends on their lengths."""
