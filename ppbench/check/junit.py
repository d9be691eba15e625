"""A verdict as JUnit XML for CI servers, with a test case for each rule."""

from __future__ import annotations

from xml.etree import ElementTree

from ppbench.check.verdict import RuleOutcome, Verdict, outcome_text
from ppbench.tables.escapes import for_xml


def to_junit(verdict: Verdict) -> str:
    """One test suite. A rule that neither passes nor fails counts as skipped."""
    failures = len(verdict.failed)
    counts = {"tests": str(len(verdict.outcomes)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite_counts = {**counts, "skipped": str(len(verdict.tolerated))}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "ppbench check", **suite_counts})
    for outcome in verdict.outcomes:
        name = for_xml(f"max-drop {outcome.rule.name}={outcome.rule.max_drop:g}")
        classname = for_xml(f"ppbench.check.{verdict.run}")
        case = ElementTree.SubElement(suite, "testcase", {"classname": classname, "name": name})
        words = for_xml(f"{outcome.label}: {outcome_text(outcome, verdict.confidence)}")
        if verdict.fails(outcome):
            ElementTree.SubElement(case, "failure", {"message": words, "type": _type(outcome)}).text = words
        elif outcome in verdict.tolerated:
            ElementTree.SubElement(case, "skipped", {"message": words})
    ElementTree.SubElement(suite, "system-out").text = for_xml(verdict.text)
    ElementTree.indent(suites)
    # Not "unicode": the declaration would name this machine's encoding, but the file is written as UTF-8.
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _type(outcome: RuleOutcome) -> str:
    """The type of a failure, by which CI servers group: the values of JSON."""
    return f"{outcome.status} (powerless)" if outcome.is_powerless else str(outcome.status)
