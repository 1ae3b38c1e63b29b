"""A plugin of pytest that writes what became of each test to the file that ZQLITE_OUTCOMES names."""

import json
import os

OUTCOMES = {}


def pytest_runtest_logreport(report):
    """A test is set up, called and torn down: the worst of the three counts."""
    outcome, reason = report.outcome, ""
    if outcome == "skipped":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    elif outcome == "failed":
        reason = str(report.longrepr).strip().splitlines()[-1]
    known = OUTCOMES.get(report.nodeid, ["passed"])[0]
    if ["passed", "skipped", "failed"].index(outcome) >= ["passed", "skipped", "failed"].index(known):
        OUTCOMES[report.nodeid] = [outcome, reason]


def pytest_sessionfinish():
    """Writes them."""
    with open(os.environ["ZQLITE_OUTCOMES"], "w", encoding="utf-8") as file:
        json.dump(OUTCOMES, file, indent=1)
