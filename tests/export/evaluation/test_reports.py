import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from export.evaluation.report.content import Content, content_of
from export.evaluation.report.html import as_page
from export.evaluation.report.json import as_json
from export.evaluation.report.text import as_text
from tests.export.evaluation.made import asked, made

BAD = '"><script>x</script> 카드'


@pytest.fixture
def content() -> Content:
    queries = [asked(BAD, "<b>"), asked("이체 한도", "limit"), asked("card", "lost", language="en")]
    found = {"base & co": [["lost"], ["limit"], ["limit"]], "<i>": [["lost"], ["limit"], ["lost"]]}
    return content_of(made(queries, found), worst=10)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_the_text_has_all_parts(content: Content) -> None:
    text = as_text(content)
    assert "made & small: 3 queries, 3 documents" in text
    assert "Difference to base & co" in text
    assert "R@1 by language" in text
    assert "Worst queries of <i>" in text
    assert f"  {BAD}\n    right: <b> <script>alert(1)</script>; not found\n    instead: lost 카드 분실 신고" in text
    assert "+0.333" in text


def test_json_has_figures_slices_and_each_query(content: Content) -> None:
    plain = json.loads(as_json(content))
    base, other = plain["systems"]
    assert (base["differences"], other["differences"][0]["measure"]) == ([], "R@1")
    assert other["differences"][0]["p_corrected"] == 1
    assert plain["worst"]["queries"][0]["query"] == BAD
    assert {each["kind"] for each in plain["slices"]} >= {"language", "length"}
    assert plain["by_query"][2]["systems"]["<i>"]["found"] == ["lost"]


def test_the_page_needs_no_other_file_and_runs_no_script(content: Content) -> None:
    page = as_page(content)
    found = Tags(page).found
    tags = {tag for tag, _ in found}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    assert not any(name in attributes for _, attributes in found for name in ("src", "href", "onload", "onclick"))
    assert "url(" not in page
    assert "&lt;script&gt;" in page
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in found


def test_charts_are_well_formed_and_stay_inside_their_width(content: Content) -> None:
    page = as_page(content)
    charts = [part.split("</svg>")[0] + "</svg>" for part in ("<svg" + each for each in page.split("<svg")[1:])]
    assert len(charts) >= 5
    for chart in charts:
        root = ElementTree.fromstring(chart)  # noqa: S314  our own page
        width = float(root.attrib["viewBox"].split()[2])
        for each in root.iter():
            places = [float(each.attrib[name]) for name in ("x", "x1", "x2", "cx") if name in each.attrib]
            assert all(0 <= place <= width for place in places)


def test_a_single_query_has_no_intervals_and_no_slices() -> None:
    content = content_of(made([asked("card", "lost")], {"one": [["lost"]]}), worst=10)
    assert json.loads(as_json(content))["systems"][0]["figures"][0]["interval"] is None
    assert "R@1 by" not in as_text(content)
    assert "Worst" not in as_text(content)
    assert "<svg" in as_page(content)
