"""The verdicts of a run as JUnit XML, which CI systems show as test results.

Each assertion is a test case. So is the generator: if it was saturated, the assertions judge it more than the server.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from loadtest.analysis.objective import Verdict
from loadtest.analysis.summary import Summary
from loadtest.reports.title import subject_of
from loadtest.reports.verdict import verdict

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain."""


def junit_report(
    summary: Summary, verdicts: Sequence[Verdict], *, late_fails: bool = True, missed_when_late_fails: bool = True
) -> str:
    """Returns the verdicts as an XML document of one test suite.

    Args:
        summary: The run.
        verdicts: The verdicts on its assertions.
        late_fails: Whether a saturated generator is a failure; otherwise its test case is skipped.
        missed_when_late_fails: Whether an assertion that was missed with a saturated generator is a failure, even if
            the server answered most requests.
    """
    # CI systems follow a test case from run to run by its class and name, so these do not have the time.
    subject = subject_of(summary.runs)
    started = datetime.fromtimestamp(min(run.header["started"] for run in summary.runs), tz=UTC)
    suite = ET.Element(
        "testsuite", name=_xml(subject), timestamp=f"{started:%Y-%m-%dT%H:%M:%S}", time=f"{summary.seconds:.3f}"
    )
    for each in verdicts:
        case = _case(suite, subject, each.objective.text)
        if not each.met:
            fails = missed_when_late_fails or not summary.generator.saturated or summary.server_failed
            _note(case, "failure" if fails else "skipped", f"{each.objective.text} was not met: {each.written}")
    generator = _case(suite, subject, "the generator kept to its plan")
    if summary.generator.saturated:
        _note(generator, "failure" if late_fails else "skipped", verdict(summary))
    complete = _case(suite, subject, "the run is complete")
    if summary.partial or not summary.total.ok.count:
        _note(complete, "error", "; ".join(summary.partial) or "not one call succeeded")
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{kind}"))))
    suite.set("tests", str(len(suite)))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, subject: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_xml(subject), name=_xml(name))


def _note(case: ET.Element, kind: str, message: str) -> None:
    ET.SubElement(case, kind, message=_xml(message)).text = _xml(message)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
