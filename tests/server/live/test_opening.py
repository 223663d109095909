import gc
import weakref
from pathlib import Path

import pytest

from server.encoding.golden import GOLDEN_FILE
from server.errors import BundleError, SettingsError
from server.live.opening import Opening
from server.settings import Settings
from tests.tiny_bundle import make_bundle


def test_a_bundle_is_open_when_taken_and_not_kept_afterwards(tmp_path: Path) -> None:
    opening = Opening(Settings(bundle=make_bundle(tmp_path / "bundle")))
    bundle = opening.take()
    assert bundle.encoder_name
    kept = weakref.ref(bundle)
    del bundle
    gc.collect()
    assert kept() is None


def test_a_storage_that_does_not_fit_the_bundle_is_rejected_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--index-storage i8 keeps only the directions"):
        Opening(Settings(bundle=make_bundle(tmp_path / "bundle", similarity="dot"), index_storage="i8"))


def test_a_damaged_file_is_rejected_when_the_bundle_is_taken(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    (bundle / GOLDEN_FILE).write_bytes(b"damaged")
    opening = Opening(Settings(bundle=bundle))
    with pytest.raises(BundleError, match="is missing or damaged"):
        opening.take()
