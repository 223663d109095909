from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest

from server.encoding.opening import Opening
from server.errors import BundleError
from tests.tiny_bundle import make_bundle


def test_a_bundle_is_open_when_it_is_taken_and_not_kept_after(tmp_path: Path) -> None:
    opening = Opening(make_bundle(tmp_path / "bundle"), native=True)
    bundle = opening.take()
    assert bundle.encoder_name
    kept = weakref.ref(bundle)
    del bundle
    gc.collect()
    assert kept() is None


def test_the_error_of_a_bundle_comes_when_it_is_taken(tmp_path: Path) -> None:
    opening = Opening(tmp_path, native=True)
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        opening.take()
