"""A verdict as JUnit XML, which CI servers draw: a test case for each rule."""

from __future__ import annotations

from xml.etree import ElementTree

from ppbench.check.verdict import Verdict, describe


def to_junit(verdict: Verdict) -> str:
    """One test suite; what is inconclusive and does not fail counts as skipped."""
    failures = len(verdict.failed)
    counts = {"tests": str(len(verdict.outcomes)), "failures": str(failures), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite_counts = {**counts, "skipped": str(len(verdict.tolerated))}
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "ppbench check", **suite_counts})
    for outcome in verdict.outcomes:
        name = f"max-drop {outcome.rule.name}={outcome.rule.max_drop:g}"
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"ppbench.check.{verdict.run}", "name": name})
        words = describe(outcome, verdict.confidence)
        if verdict.fails(outcome):
            ElementTree.SubElement(case, "failure", {"message": words, "type": "regression"}).text = words
        elif outcome in verdict.tolerated:
            ElementTree.SubElement(case, "skipped", {"message": words})
    ElementTree.SubElement(suite, "system-out").text = verdict.text
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"
