"""Adds up what the test stages left in a folder; the last line printed is ``N passed, N failed``.

Counted: the cases of every GoogleTest run, the other ctest tests, pytest's tests, and one for each
stage without counts of its own (lint, compilers). A stage that failed without a failed case (a
build error, a crash) counts as one failure.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def count_gtest(path: Path) -> Count:
    """The cases of one GoogleTest program."""
    count = Count()
    for suite in json.loads(path.read_text(encoding="utf-8"))["testsuites"]:
        for case in suite["testsuite"]:
            if case.get("failures"):
                count.failed += 1
            elif case.get("result") == "SKIPPED" or case.get("status") == "NOTRUN":
                count.skipped += 1
            else:
                count.passed += 1
    return count


def count_junit(path: Path) -> Count:
    """The cases of a JUnit file."""
    count = Count()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            count.failed += 1
        elif case.find("skipped") is not None:
            count.skipped += 1
        else:
            count.passed += 1
    return count


def count_run(results: Path, name: str) -> Count:
    """One run: the cases of its GoogleTest programs, and those of ctest or pytest."""
    count = Count()
    for path in sorted((results / name).glob("*.json")):
        count.add(count_gtest(path))
    if (results / f"{name}.xml").is_file():
        count.add(count_junit(results / f"{name}.xml"))
    return count


RUNS = {
    "lint": (),
    "native": ("native", "native-scalar", "native-avx2"),
    "compilers": (),
    "asan": ("asan",),
    "arm": (
        "arm-cortex-a53",
        "arm-neoverse-n1",
        "arm-max",
        "arm-instructions",
        "armhf-kernels",
        "armhf-older",
        "armhf-models",
        "armhf-instructions",
        "x86-Nehalem",
        "x86-Haswell",
    ),
    "pytest": ("pytest", "live"),
    "onednn": ("onednn",),
}


def main(results: Path) -> int:
    total = Count()
    print("\n==== summary")
    for stage, runs in RUNS.items():
        status = results / f"{stage}.stage"
        if not status.is_file():
            continue
        code, seconds = (int(word) for word in status.read_text(encoding="utf-8").split())
        count = Count()
        for run in runs:
            count.add(count_run(results, run))
        skipped = results / f"{stage}.skipped"
        if code != 0 and count.failed == 0:
            count.failed = 1
        elif code == 0 and not count.passed and not skipped.is_file():
            count.passed = 1
        note = ""
        if skipped.is_file():
            note = f"  SKIPPED: {skipped.read_text(encoding='utf-8').strip()}"
        print(
            f"{stage:9} {count.passed:6} passed {count.failed:4} failed {count.skipped:4} skipped"
            f" {seconds:5} s{note}"
        )
        total.add(count)
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
