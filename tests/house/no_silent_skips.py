"""A pytest plugin for continuous integration: what is skipped there has failed.

Loaded by `.ci/run` with `-p tests.house.no_silent_skips`. On a developer's machine a test may say that it has nothing
to read; where the result counts, that is a hole. An expected failure (xfail) is no better: it hides a known fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"Left out, and here nothing may be left out silently: {reason}"
    if hasattr(report, "wasxfail"):
        del report.wasxfail


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skipped test into a failed one."""
    report = yield
    if report.skipped:
        _refuse(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turns a file that skips itself as a whole into a failed one."""
    report = yield
    if report.skipped:
        _refuse(report)
    return report
