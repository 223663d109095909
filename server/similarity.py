"""How two vectors are compared. The bundle says so, and the index does it."""

from __future__ import annotations

from typing import Literal

Similarity = Literal["cosine", "dot"]
"""The cosine of the angle between the vectors, or their inner product, in which lengths matter."""
