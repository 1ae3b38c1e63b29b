"""Runs Python's own tests of sqlite3 and writes what became of each: python.py TESTS OUT."""

import json
import sys
import unittest

import test


class Outcomes(unittest.TextTestResult):
    """Keeps, for each test, one word and the reason."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.outcomes = {}

    def keep(self, case, outcome, reason=""):
        # What a subtest, or the class, has failed in stays failed.
        if self.outcomes.get(case.id(), ["passed"])[0] != "failed":
            self.outcomes[case.id()] = [outcome, reason]

    def addSuccess(self, case):
        super().addSuccess(case)
        self.keep(case, "passed")

    def addError(self, case, error):
        super().addError(case, error)
        self.keep(case, "failed", f"{error[0].__name__}: {error[1]}")

    def addFailure(self, case, error):
        super().addFailure(case, error)
        self.keep(case, "failed", f"{error[0].__name__}: {error[1]}")

    def addSubTest(self, case, subtest, error):
        super().addSubTest(case, subtest, error)
        if error is not None:
            self.keep(case, "failed", f"{error[0].__name__}: {error[1]}")

    def addSkip(self, case, reason):
        super().addSkip(case, reason)
        self.keep(case, "skipped", reason)

    def addExpectedFailure(self, case, error):
        super().addExpectedFailure(case, error)
        self.keep(case, "passed", "an expected failure")

    def addUnexpectedSuccess(self, case):
        super().addUnexpectedSuccess(case)
        self.keep(case, "failed", "an unexpected success")


def main():
    tests, out = sys.argv[1:]
    # The tests import each other as parts of the package `test`, which holds Debian's other tests.
    test.__path__.append(tests)
    loader = unittest.TestLoader()
    parts = ("backup", "dbapi", "dump", "factory", "hooks", "regression", "transactions", "types", "userfunctions")
    suite = loader.loadTestsFromNames([f"test.test_sqlite3.test_{part}" for part in parts])
    result = unittest.TextTestRunner(resultclass=Outcomes, verbosity=0).run(suite)
    with open(out, "w", encoding="utf-8") as file:
        json.dump(result.outcomes, file, indent=1)


main()
