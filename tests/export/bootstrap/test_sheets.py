import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.bootstrap.sheets.agreement import agreement
from export.bootstrap.sheets.cells import FORMULA, safe
from export.bootstrap.sheets.labels import labelled
from export.bootstrap.sheets.pooling import Pooled, pooled
from export.bootstrap.sheets.queries import read_queries
from export.bootstrap.sheets.reading import Label, Pair, Sheet, read_sheet
from export.bootstrap.sheets.report import as_text
from export.bootstrap.sheets.writing import COLUMNS, as_csv
from export.errors import ExportError
from server.catalogue.document import Document
from server.encoding.bundle import Bundle

DOCUMENTS = {
    id: Document(id=id, title={"ko": f"제목 {id}", "en": f"Title {id}"}, text="글") for id in ("a", "b", "007")
}
QUERIES = ["지갑", "lost card"]
POOLS = [Pooled("지갑", ["a", "007"]), Pooled("lost card", ["b", "a"])]


def rows_of(content: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline="")))


def filled(tmp_path: Path, labels: Sequence[str], name: str = "s.csv", **changes: str) -> Path:
    """Writes the sheet of `POOLS` with labels, as a person would fill it."""
    rows = rows_of(as_csv(POOLS, DOCUMENTS))
    for row, label in zip(rows[1:], labels, strict=True):
        row[0] = label
    file = io.StringIO()
    csv.writer(file, delimiter=changes.get("delimiter", ",")).writerows(rows)
    path = tmp_path / name
    path.write_text(file.getvalue(), encoding=changes.get("encoding", "utf-8-sig"))
    return path


def read(path: Path) -> Sheet:
    return read_sheet(path, QUERIES, list(DOCUMENTS))


def sheet(name: str, *labels: bool | None) -> Sheet:
    pairs = [Pair("q", str(number)) for number in range(len(labels))]
    return Sheet(
        Path(name), {pair: Label(label, row + 2) for row, (pair, label) in enumerate(zip(pairs, labels, strict=True))}
    )


def test_a_sheet_has_a_mark_for_excel_and_shows_the_language_of_the_query() -> None:
    content = as_csv(POOLS, DOCUMENTS)
    assert content.startswith('\ufeff"label","query","title","text","document","key"\r\n')
    rows = rows_of(content)
    assert [row[:5] for row in rows[1:]] == [
        ["", "지갑", "제목 a", "글", "a"],
        ["", "지갑", "제목 007", "글", "007"],
        ["", "lost card", "Title b", "글", "b"],
        ["", "lost card", "Title a", "글", "a"],
    ]


@given(
    st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=4, unique=True),
    st.lists(st.text(min_size=1, max_size=256).filter(str.strip), min_size=1, max_size=4, unique=True),
    st.text(),
    st.data(),
)
def test_any_text_survives_a_sheet_and_no_cell_is_a_formula(
    tmp_path_factory: pytest.TempPathFactory, queries: list[str], ids: list[str], text: str, data: st.DataObject
) -> None:
    documents = {id: Document(id=id, title=text, text=f"={text}") for id in ids}
    content = as_csv([Pooled(query, ids) for query in queries], documents)
    rows = rows_of(content)
    assert all(len(row) == len(COLUMNS) for row in rows)
    assert not [cell for row in rows for cell in row if cell.startswith((*FORMULA, "\t", "\r", "\n"))]
    assert content.count("\n") == content.count("\r\n") == len(rows)
    labels = [data.draw(st.booleans()) for _ in rows[1:]]
    for row, label in zip(rows[1:], labels, strict=True):
        row[0] = "1" if label else "0"
        row[1:5] = ["changed by a spreadsheet program"] * 4
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    path = tmp_path_factory.mktemp("sheet") / "s.csv"
    path.write_bytes(file.getvalue().encode("utf-8"))
    found = read_sheet(path, queries, ids)
    expected = {
        Pair(query, id): label
        for (query, id), label in zip([(q, i) for q in queries for i in ids], labels, strict=True)
    }
    assert {pair: label.answers for pair, label in found.labels.items()} == expected


@given(st.text())
def test_a_cell_is_one_line_that_is_no_formula(text: str) -> None:
    shown = safe(text)
    assert not shown.startswith(FORMULA)
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= 1001


def test_labels_are_read_as_people_write_them(tmp_path: Path) -> None:
    sheets = [read(filled(tmp_path, labels)) for labels in (["1", "x", "예", "No"], ["o", "0.0", "TRUE", "아니요"])]
    for each in sheets:
        assert [label.answers for label in each.labels.values()] == [True, False, True, False]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_delimiters_of_excel_are_read(tmp_path: Path, delimiter: str) -> None:
    assert len(read(filled(tmp_path, ["1", "0", "1", "0"], delimiter=delimiter)).labels) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: expected one column 'label'"),
        (b"label,query\r\n1,x\r\n", ":1: expected one column 'key'"),
        (b"label,key\r\n", " has no rows"),
        (b"label,key\r\n1\r\n", ":2: the row has no key"),
        (b"label,key\r\n1,q0-d0\r\n", ":2: unknown query: give --queries and --catalogue of this sheet"),
        (b'label,key\r\n1,"x\r\n', "no CSV"),
        (b"PK\x03\x04\xff\xfe\x00", "is not UTF-8: save it as CSV UTF-8"),
        ("label,key\r\n예,x\r\n".encode("cp949"), "is not UTF-8"),
        (b"\x00" * 200_000, "no CSV"),
    ],
)
def test_a_file_that_is_no_sheet_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    with pytest.raises(ExportError) as raised:
        read(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("path", ["/nowhere/s.csv", "/", "/dev/null"])
def test_a_path_that_is_no_file_is_an_error(path: str) -> None:
    with pytest.raises(ExportError, match=path):
        read(Path(path))


def test_an_unknown_document_is_named_by_its_line(tmp_path: Path) -> None:
    path = filled(tmp_path, ["1", "0", "1", "0"])
    with pytest.raises(ExportError, match=r"s.csv:3: unknown document"):
        read_sheet(path, QUERIES, ["a", "b"])


def test_a_word_that_is_no_label_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"s.csv:4: 'maybe' is no label: write 1 if it answers the query, else 0"):
        read(filled(tmp_path, ["1", "0", "maybe", "0"]))


def test_contradictory_rows_are_named_by_their_lines(tmp_path: Path) -> None:
    path = filled(tmp_path, ["1", "0", "1", "0"])
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\r\n".join([*lines, "0" + lines[1][1:]]))
    with pytest.raises(ExportError, match=r"s.csv:6: another label than in line 2: keep one of the two lines"):
        read(path)
    path.write_text("\r\n".join([*lines, lines[1]]))
    assert len(read(path).labels) == 4


def test_a_row_without_a_label_is_an_error_unless_it_may_be_left_out(tmp_path: Path) -> None:
    half = read(filled(tmp_path, ["1", "0", "", "0"]))
    with pytest.raises(ExportError, match=r"s.csv:4: no label; 1 of 4 rows have none \(lines 4\)"):
        labelled([half], partial=False)
    found = labelled([half], partial=True)
    assert [(each.query, each.relevant) for each in found.queries] == [("지갑", ["a"])]
    assert found.incomplete == ["lost card"]


def test_most_sheets_decide_and_ties_are_left_out(tmp_path: Path) -> None:
    one = read(filled(tmp_path, ["1", "0", "1", "0"], "1.csv"))
    two = read(filled(tmp_path, ["1", "1", "1", "0"], "2.csv"))
    three = read(filled(tmp_path, ["0", "0", "1", "0"], "3.csv"))
    tied = labelled([one, two], partial=False)
    assert [each.query for each in tied.queries] == ["lost card"]
    assert tied.undecided == [Pair("지갑", "007")]
    assert "  지갑 | 007 (" in as_text(tied, [one, two])
    decided = labelled([one, two, three], partial=False)
    assert [(each.query, each.language, each.relevant) for each in decided.queries] == [
        ("지갑", "ko", ["a"]),
        ("lost card", "en", ["b"]),
    ]


def test_a_query_that_nothing_answers_is_reported(tmp_path: Path) -> None:
    one = read(filled(tmp_path, ["0", "0", "1", "0"]))
    found = labelled([one], partial=False)
    assert found.unanswered == ["지갑"]
    assert "no document of the sheet answers it" in as_text(found, [one])


def test_kappa_is_that_of_a_worked_example() -> None:
    # Both say yes 20 times and no 15 times, one alone says yes 5 times, the other alone 10 times: kappa .4.
    first = sheet("1", *([True] * 25), *([False] * 25))
    second = sheet("2", *([True] * 20), *([False] * 5), *([True] * 10), *([False] * 15))
    found = agreement(first, second)
    assert found.pairs == 50
    assert found.share == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert len(found.different) == 15


def test_kappa_counts_rows_only_that_both_have_labelled() -> None:
    found = agreement(sheet("1", True, False, None), sheet("2", True, False, True))
    assert (found.pairs, found.kappa) == (2, 1.0)
    assert agreement(sheet("1", True, True), sheet("2", True, True)).kappa is None
    assert agreement(sheet("1", None), sheet("2", True)).pairs == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_kappa_is_symmetric_and_at_most_one(rows: list[tuple[bool, bool]]) -> None:
    one, other = sheet("1", *(row[0] for row in rows)), sheet("2", *(row[1] for row in rows))
    forth, back = agreement(one, other), agreement(other, one)
    assert forth.kappa == pytest.approx(back.kappa)
    assert forth.kappa is None or -1 <= forth.kappa <= 1 + 1e-9
    assert (forth.share == 1) is (not forth.different)


def test_a_pool_has_the_hits_of_every_mode_in_an_order_of_the_seed(tiny_bundle: Path) -> None:
    documents = [
        Document(id=f"{row:02}", title=title) for row, title in enumerate(["abcd", "abce", "abcf", "wxyz", "dcba"])
    ]
    queries = ["abcd", "wxyz", "zyxw"]

    def pools(seed: int) -> list[Pooled]:
        return pooled(queries, documents, Bundle(tiny_bundle), depth=2, seed=seed, progress=lambda step: None)

    first = pools(1)
    assert first == pools(1)
    assert sorted(each.query for each in first) == sorted(queries)
    assert any(pools(seed) != first for seed in range(2, 6))
    assert {each.query: set(each.document_ids) for each in first} == {
        each.query: set(each.document_ids) for each in pools(2)
    }
    by_query = {each.query: each.document_ids for each in first}
    assert {"00", "04"} <= set(by_query["abcd"])


def test_queries_are_lines_or_json_and_each_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_text(
        '\ufeff지갑을  잃어버렸어\n\n{"query": "lost\u2028card", "kind": "part"}\r\n지갑을 잃어버렸어\n',
        encoding="utf-8",
    )
    assert read_queries(path) == ["지갑을 잃어버렸어", "lost card"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no queries: write one per line"),
        (b" \n\n", "has no queries"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a\n{\n", ":2: "),
        (b'{"text": "x"}\n', "expected an object with the field query"),
        (b'{"query": " "}\n', ":1: query is blank"),
        (b'a\n{"query": "\\u200b"}\n', ":2: query is blank"),
        ("\u200b\n\u00ad\n".encode(), "has no queries"),
    ],
)
def test_a_file_without_queries_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "q.txt"
    path.write_bytes(content)
    with pytest.raises(ExportError) as raised:
        read_queries(path)
    assert message in str(raised.value)
