"""Prints how a suite on sealed files differs from the same on plain ones: difference.py NAME PLAIN SEALED.

Status 1 if a test fails on sealed files that does not fail on plain ones, or was run on one kind alone.
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path


def counts(outcomes):
    """How many of each, in a fixed order."""
    counter = Counter(outcome for outcome, _ in outcomes.values())
    return ", ".join(f"{counter[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))


def main():
    name, *files = sys.argv[1:]
    plain, sealed = (json.load(open(file, encoding="utf-8")) for file in files)
    for file, outcomes in zip(files, (plain, sealed)):
        print(f"{name} on {Path(file).stem} files: {counts(outcomes)}")
    if not plain:
        sys.exit(f"{name}: no test was run")

    bad = 0
    for test in sorted(plain.keys() ^ sealed.keys()):
        bad += 1
        print(f"  run on {'plain' if test in plain else 'sealed'} files alone: {test}")
    for test in sorted(plain.keys() & sealed.keys()):
        (before, why_before), (after, why) = plain[test], sealed[test]
        if after == "failed" and before != "failed":
            bad += 1
            print(f"  fails on sealed files alone: {test}: {why}")
        elif after == "failed":
            print(f"  fails on both: {test}: {why}")
        elif before == "failed":
            print(f"  fails on plain files alone: {test}: {why_before}")
        elif after == "skipped" and before != "skipped":
            bad += 1
            print(f"  skipped on sealed files alone: {test}: {why}")
    # Numbers and names in reasons differ from test to test.
    skips = Counter(
        re.sub(r"'[^']*'", "…", why) for outcome, why in sealed.values() if outcome == "skipped"
    )
    for why, count in skips.most_common():
        print(f"  skipped: {count} × {why}")
    print(f"{name}: {bad} differences that count")
    sys.exit(1 if bad else 0)


main()
