"""Plant small faults in a room of the package, one at a time, and name those that no test notices.

Cosmic-ray lists the faults and writes them, into a copy of the project in `.mutants`. Which lines each test
reaches is measured there once, and the results are kept there. Tests run in forks of one process that has
loaded the frameworks. `mutants.toml` lists faults that change nothing, with the reason.
"""

from __future__ import annotations

import ast
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import coverage
import pytest
from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".mutants"
COPY = WORK / "copy"
FAULTS, SEED = 80, 46
ROOMS = ("cells", "layers", "inputs", "frameworks", "initializers")
WEAK = re.compile("Shift|Bit|Invert|Exception|(UAdd|USub)_Not|(?<!_Is)_Is(Not)?$")  # fail at once, or never
LANES = (("quick", 300), ("slow", 40))  # at most so many tests for one fault, and all that are new
SECONDS = 300  # for the tests of one fault
ALONE = ("-n", "0", "--dist", "no", "-p", "no:cacheprovider")  # pytest-cov measures nothing beside workers


class Fault(NamedTuple):
    """A changed line of a file, the code of the file with it, and what became of it: at first and now."""

    file: str
    line: int
    before: str
    after: str
    code: str
    first: str = ""
    now: str = ""


def draw(room: str) -> Iterator[Fault]:
    """Draw places in the code of `room`, and one fault at each."""
    places: dict[tuple[Path, int, int], list[Any]] = {}
    with use_db(":memory:", WorkDB.Mode.create) as database:
        init(sorted((COPY / "rnncli" / room).rglob("*.py")), database, {})
        for mutation in (item.mutations[0] for item in database.work_items):
            if not WEAK.search(mutation.operator_name):
                places.setdefault((mutation.module_path, *mutation.start_pos), []).append(mutation)
    random = Random(SEED)
    for path, line, column in random.sample(sorted(places), len(places)):
        mutation = random.choice(places[path, line, column])
        source = path.read_text(encoding="utf-8")
        code = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
        try:
            ast.parse(code)
        except SyntaxError:
            continue
        pairs = zip(source.splitlines(), code.splitlines(), strict=False)
        before, after = next(((a.strip(), b.strip()) for a, b in pairs if a != b))
        yield Fault(str(path.relative_to(COPY)), line, before, after, code)


def run(arguments: list[str], seconds: float, tests: list[str] | None = None, log: str = os.devnull) -> str:
    """Run pytest in a fork: all tests, or `tests` in their order; return the name of one that fails."""
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
            for stream in (1, 2):
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
            os.chdir(COPY)
            sys.path.insert(0, str(COPY))
            sys.dont_write_bytecode = True
            os.environ |= {"PYTHONPATH": str(COPY), "PYTHONDONTWRITEBYTECODE": "1"}
            code = pytest.main([*arguments, *ALONE], [Chosen(tests)])
            os._exit(code if code != pytest.ExitCode.NO_TESTS_COLLECTED else 0)
        finally:
            os._exit(3)
    (WORK / "failed").write_text("import", encoding="utf-8")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return (WORK / "failed").read_text(encoding="utf-8") if status else ""
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "time"


class Chosen:
    """A plugin of pytest: run these tests, in their order, and write the name of one that fails."""

    def __init__(self, tests: list[str] | None) -> None:
        self.tests = tests and {name: number for number, name in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if order := self.tests:
            items[:] = sorted((i for i in items if i.nodeid in order), key=lambda i: order[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            (WORK / "failed").write_text(report.nodeid, encoding="utf-8")


def measure(name: str, *arguments: str) -> coverage.CoverageData:
    """Return which tests reach each line."""
    data = WORK / f"{name}.coverage"
    if not data.exists():
        os.environ["COVERAGE_FILE"] = str(data)
        cover = [f"--cov=rnncli/{room}" for room in ROOMS]
        arguments = (*arguments, *cover, "--cov-context=test", "--cov-report=")
        if failed := run([*arguments], 7200, None, f"{data}.log"):
            data.unlink(missing_ok=True)
            sys.exit(f"Without a fault, {failed} fails: see {data}.log")
    found = coverage.CoverageData(str(data))
    found.read()
    return found


def choose(fault: Fault, room: str, reached: list[coverage.CoverageData]) -> list[str]:
    """Return tests that reach the fault: quick ones first, and those of its room before others."""
    tree = ast.parse((COPY / fault.file).read_text(encoding="utf-8"))
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= fault.line <= (node.end_lineno or 0)
    ]
    called = any(isinstance(node, ast.FunctionDef) and node.body[0].lineno <= fault.line for node in around)
    start = max(node.lineno for node in around)
    chosen: list[str] = []
    for (_, most), data in zip(LANES, reached, strict=True):
        path = next((path for path in data.measured_files() if path.endswith(f"/{fault.file}")), "")
        lines = {
            line: {c.partition("|")[0] for c in contexts} - {""}
            for line, contexts in data.contexts_by_lineno(path).items()
        }
        statement = (lines.get(line, set()) for line in range(start, fault.line + 1))
        here = lines.get(fault.line) or set[str]().union(*statement)
        # A line that runs at import is seen by one test alone: any test of the file may use it.
        tests = here if called else set[str]().union(*lines.values())
        mixed = Random(SEED).sample(sorted(tests), len(tests))
        mixed.sort(key=lambda name: (name not in here, not name.startswith(f"tests/{room}/")))
        chosen += mixed[:most]
    return chosen


def take_copy() -> list[str]:
    """Copy the project once, and its tests each time; return the files of tests that are new or changed."""
    if not COPY.exists():
        shutil.copytree(ROOT, COPY, ignore=shutil.ignore_patterns(".mutants", ".venv", ".git", ".*_cache"))
        shutil.copytree(COPY / "tests", WORK / "tests")
    shutil.copytree(ROOT / "tests", COPY / "tests", dirs_exist_ok=True)
    names = [path.relative_to(COPY / "tests") for path in (COPY / "tests").rglob("test_*.py")]
    first = {name: WORK / "tests" / name for name in names}
    return [
        f"tests/{name}"
        for name, old in sorted(first.items())
        if not old.exists() or old.read_bytes() != (COPY / "tests" / name).read_bytes()
    ]


def plant(fault: Fault, tests: list[str], new: list[str]) -> str:
    """Return what became of a fault: `survived`, or `killed by` a test."""
    path = COPY / fault.file
    source, old = path.read_bytes(), path.stat()
    path.write_text(fault.code, encoding="utf-8")
    try:
        failed = tests and run(["-x", *{name.partition("::")[0]: 0 for name in tests}], SECONDS, tests)
        failed = failed or (new and run(["-x", *new], SECONDS))
        return f"killed by {failed}" if failed else "survived"
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # its bytecode stays valid


def main(room: str) -> None:
    """Plant the faults of `room` that are not yet killed; print what becomes of each."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    new = take_copy()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras  # noqa: F401
    import torch  # noqa: F401

    reached = [measure("quick", "-m", "not slow"), measure(f"slow-{room}", "-m", "slow", f"tests/{room}")]
    if new and (failed := run(new, 1200)):
        sys.exit(f"Without a fault, {failed} fails.")
    equal = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))["equal"]
    file = WORK / f"{room}.json"
    faults = (
        [Fault(*each) for each in json.loads(file.read_text())]
        if file.exists()
        else [*islice(draw(room), FAULTS)]
    )
    for number, fault in enumerate(faults):
        if fault.now.startswith("killed"):
            continue
        if any((each["file"], each["before"], each["after"]) == fault[0:1] + fault[2:4] for each in equal):
            now = "equal"
        else:
            tests = choose(fault, room, reached)
            now = plant(fault, [] if fault.now else tests, new) if tests else "not reached"
        faults[number] = fault._replace(first=fault.first or now, now=now)
        file.write_text(json.dumps(faults), encoding="utf-8")
        print(f"{fault.file}:{fault.line}: {fault.before}\n    {fault.after}\n    {now}", flush=True)
    for name in ("first", "now"):
        counts = Counter(getattr(fault, name).partition(" by")[0] for fault in faults)
        print(f"{name}:", ", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main(sys.argv[1])
