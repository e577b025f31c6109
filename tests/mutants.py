"""Plant small faults in a room of the package, one at a time, and name those that no test notices.

Cosmic-ray lists the faults and writes them, into a copy of the project in `.mutants`. Which lines each test
reaches is measured there once, and the results are kept there. Tests run in forks of one process that has
loaded the frameworks. `mutants.toml` lists faults that change nothing, with the reason.
"""

import ast
import json
import os
import re
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
WEAK = re.compile("Shift|Bit|Invert|Exception|(UAdd|USub)_Not|(?<!_Is)_Is(Not)?$")  # fail at once, or never
MOST, FEW = (300, 40), 50  # quick and slow tests of one fault, besides the room's files that are new
SECONDS = 120  # for the tests of one fault
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


def run(arguments: list[str], tests: list[str], seconds: float, log: str = os.devnull) -> bool:
    """Run pytest in a fork, all tests or `tests` in their order; return whether they pass in time."""

    class Chosen:
        @pytest.hookimpl(trylast=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            if order := {name: number for number, name in enumerate(tests)}:
                items[:] = sorted((i for i in items if i.nodeid in order), key=lambda i: order[i.nodeid])

    child = os.fork()
    if child == 0:
        os.setsid()
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        os.chdir(COPY)
        sys.path.insert(0, str(COPY))
        sys.dont_write_bytecode = True
        os.environ |= {"PYTHONPATH": str(COPY), "PYTHONDONTWRITEBYTECODE": "1"}
        os._exit(pytest.main([*arguments, *ALONE], [Chosen()]) not in (0, 5))  # 5: there are no tests
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def measure(name: str, *arguments: str) -> coverage.CoverageData:
    """Return which tests reach each line."""
    data = WORK / f"{name}.coverage"
    if not data.exists():
        os.environ["COVERAGE_FILE"] = str(data)
        arguments = (*arguments, "--cov=rnncli", "--cov-context=test", "--cov-report=")
        if not run([*arguments], [], 7200, str(WORK / f"{name}.log")):
            data.unlink(missing_ok=True)
            sys.exit(f"Tests fail without a fault: see .mutants/{name}.log")
    measured = coverage.CoverageData(str(data))
    measured.read()
    return measured


def choose(fault: Fault, room: str, measured: list[coverage.CoverageData]) -> list[str]:
    """Return tests that reach the fault: quick ones first, and those of its room before others."""
    tree = ast.parse((COPY / fault.file).read_text(encoding="utf-8"))
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.stmt))
    around = [node for node in statements if node.lineno <= fault.line <= (node.end_lineno or 0)]
    called = any(isinstance(node, ast.FunctionDef) and node.body[0].lineno <= fault.line for node in around)
    start = max((node.lineno for node in around), default=fault.line)  # a decorator stands above
    chosen: list[str] = []
    for most, data in zip(MOST, measured, strict=True):
        path = next((path for path in data.measured_files() if path.endswith(f"/{fault.file}")), "")
        lines = {
            line: {context.partition("|")[0] for context in contexts} - {""}
            for line, contexts in data.contexts_by_lineno(path).items()
        }
        statement = (lines.get(line, set()) for line in range(start, fault.line + 1))
        here = lines.get(fault.line) or set[str]().union(*statement)
        # A line that runs at import is seen by one test alone: any test of the file may use it.
        tests = here if called else set[str]().union(*lines.values())
        mixed = Random(SEED).sample(sorted(tests), len(tests))
        mixed.sort(key=lambda name: (name not in here, not name.startswith(f"tests/{room}/")))
        files = Counter(name.partition("::")[0] for name in mixed[:most])
        chosen += sorted(
            mixed[:most],
            key=lambda name: (not name.startswith(f"tests/{room}/"), -files[name.partition("::")[0]], name),
        )
    return chosen


def plant(fault: Fault, tests: list[str], new: list[str]) -> str:
    """Return what became of a fault: it `survived`, or was `killed`."""
    path = COPY / fault.file
    source, old = path.read_bytes(), path.stat()
    path.write_text(fault.code, encoding="utf-8")
    try:
        for part in (tests[:FEW], tests[FEW:]):  # of few files, which are collected soon; then of all
            if part and not run(["-x", *{name.partition("::")[0]: 0 for name in part}], part, SECONDS):
                return "killed"
        return "survived" if not new or run(["-x", *new], [], SECONDS) else "killed"
    finally:
        path.write_bytes(source)
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # its bytecode stays valid


def main(room: str) -> None:
    """Plant the faults of `room` that are not yet killed; print what becomes of each."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not COPY.exists():
        shutil.copytree(ROOT, COPY, ignore=shutil.ignore_patterns(".mutants", ".venv", ".git", ".*_cache"))
        shutil.copytree(COPY / "tests", WORK / "tests")
    for folder in (ROOT / "tests" / room, ROOT / "tests" / "golden" / room):
        if folder.exists():
            shutil.copytree(folder, COPY / folder.relative_to(ROOT), dirs_exist_ok=True)
    old = {path: WORK / path.relative_to(COPY) for path in sorted((COPY / "tests" / room).rglob("test_*.py"))}
    new = [str(path) for path in old if not old[path].exists() or old[path].read_bytes() != path.read_bytes()]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras  # noqa: F401
    import torch  # noqa: F401

    measured = [measure("quick", "-m", "not slow"), measure(f"slow-{room}", "-m", "slow", f"tests/{room}")]
    if new and not run(new, [], 1200, str(WORK / "new.log")):
        sys.exit("Tests fail without a fault: see .mutants/new.log")
    equal = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))["equal"]
    file = WORK / f"{room}.json"
    faults = (
        [Fault(*each) for each in json.loads(file.read_text())]
        if file.exists()
        else [*islice(draw(room), FAULTS)]
    )
    for number, fault in enumerate(faults):
        if fault.now == "killed":
            continue
        if any((each["file"], each["before"], each["after"]) == fault[0:1] + fault[2:4] for each in equal):
            now = "equal"
        else:
            tests = choose(fault, room, measured)
            now = plant(fault, [] if fault.now else tests, new) if tests else "not reached"
        faults[number] = fault._replace(first=fault.first or now, now=now)
        file.write_text(json.dumps(faults), encoding="utf-8")
        print(f"{fault.file}:{fault.line}: {fault.before}\n    {fault.after}\n    {now}", flush=True)
    for name in ("first", "now"):
        counts = Counter(getattr(fault, name) for fault in faults)
        print(f"{name}:", ", ".join(f"{count} {what}" for what, count in counts.items()))


if __name__ == "__main__":
    main(sys.argv[1])
