import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chaja.v1 import Document, Hit
from server.catalogue.partial import Fields
from server.errors import InvalidRequest
from server.rpc.masks import DOCUMENTS, HITS, MAX_PATHS, Mask, Maskable

HIT_NAMES = {field.name for field in Hit.DESCRIPTOR.fields}
DOCUMENT_NAMES = {field.name for field in Document.DESCRIPTOR.fields}


def mask(kind: Maskable, *paths: str) -> Mask:
    return kind.mask(FieldMask(paths=paths), field="read_mask")


@pytest.mark.parametrize("paths", [[], ["*"], ["title", "*"], ["*", "attributes.price"]])
def test_no_path_and_the_star_mean_everything(paths: list[str]) -> None:
    assert mask(HITS, *paths) == Mask(frozenset(HIT_NAMES), None)
    paths = [path.replace("title", "titles") for path in paths]
    assert mask(DOCUMENTS, *paths) == Mask(frozenset(DOCUMENT_NAMES), None)


@pytest.mark.parametrize(
    ("paths", "names", "stored"),
    [
        (["title"], {"title"}, Fields(frozenset(["title"]), frozenset())),
        (["title", "title"], {"title"}, Fields(frozenset(["title"]), frozenset())),
        (["match"], {"match"}, Fields(frozenset(["title", "text", "examples"]), frozenset())),
        (["version", "dense_score"], {"version", "dense_score"}, Fields(frozenset(), frozenset())),
        (["attributes"], {"attributes"}, Fields(frozenset(["attributes"]), None)),
        (["attributes", "attributes.a"], {"attributes"}, Fields(frozenset(["attributes"]), None)),
        (
            ["attributes.가 격", "attributes.a.b", "attributes.*"],
            {"attributes"},
            Fields(frozenset(["attributes"]), frozenset(["가 격", "a.b", "*"])),
        ),
    ],
)
def test_paths_select_fields_and_attributes(paths: list[str], names: set[str], stored: Fields) -> None:
    assert mask(HITS, *paths) == Mask(frozenset({"document_id", "score"} | names), stored)


def test_paths_of_documents_select_their_stored_fields() -> None:
    selected = mask(DOCUMENTS, "titles", "texts", "examples")
    assert selected.names == {"id", "titles", "texts", "examples"}
    assert selected.stored == Fields(frozenset(["title", "text", "examples"]), frozenset())


@pytest.mark.parametrize("path", ["", "titles", "Title", "title.x", "attributes.", "attribute", "hits.title", " title"])
def test_an_unknown_path_is_refused_with_the_known_ones(path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        mask(HITS, "title", path)
    (violation,) = raised.value.violations
    assert violation.field == "read_mask"
    assert repr(path) in violation.description
    for name in HIT_NAMES:
        assert name in violation.description


def test_the_number_of_paths_is_bounded() -> None:
    assert mask(HITS, *["title"] * MAX_PATHS)
    with pytest.raises(InvalidRequest, match=f"read_mask: has {MAX_PATHS + 1} paths; at most {MAX_PATHS} are allowed"):
        mask(HITS, *["title"] * (MAX_PATHS + 1))


def test_a_long_unknown_path_is_shortened_in_the_error() -> None:
    with pytest.raises(InvalidRequest) as raised:
        mask(HITS, "x" * 100_000)
    assert len(str(raised.value)) < 500
