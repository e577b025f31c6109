"""How an implementation answers the cases: a program for each, a program for all, or files that are there.

A program runs in processes of its own, which may crash or hang; what it prints is not shown.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.conformance.cases import KitCase
from rnncli.commands.conformance.judge import Failure
from rnncli.commands.conformance.kit import folder_of, write_kit
from rnncli.errors import Message, UsageError, first_nonblank_line, shorten
from rnncli.process.signals import exit_cleanly

Answer = Mapping[str, Array] | Failure
Answers = Iterator[tuple[KitCase, Answer]]
"""Each case with its answer, as soon as it is there."""
NO_FILE = Message("It wrote no outputs.")
PAUSE = 0.02
"""Seconds between two looks at what a program has written."""
LONGEST = 1000
"""Characters of a reason."""
START = """
import sys
sys.path[:] = sys.argv[4:]
import rnncli.commands.conformance.implementations
rnncli.commands.conformance.implementations.answer_kit(*sys.argv[1:4])
"""
"""The program in which an installed package answers."""


class _Program(NamedTuple):
    """A program that runs.

    results: the folder that it writes its answers into.  log: the file of what it writes to stderr.
    """

    process: subprocess.Popen[bytes]
    results: Path
    log: Path


def run_implementation(name: str, cases: Sequence[KitCase], seconds: float) -> Answers:
    """Yield the answers of an installed package; see `implementations`."""
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" is the working directory
    return _run_for_all([sys.executable, "-c", START, name, "{kit}", "{results}", *paths], cases, seconds)


def run_program(command: str, cases: Sequence[KitCase], seconds: float) -> Answers:
    """Yield the answers of a program.

    command: takes all cases if it has the holes {kit} and {results}; one with {model}, {inputs}, {outputs}.
    seconds: how long it may be silent.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError("{--run}: {error}.", "Close every quote.", error=error) from None
    if "{kit}" in command and "{results}" in command:
        return _run_for_all(words, cases, seconds)
    if "{model}" in command and "{inputs}" in command and "{outputs}" in command:
        return _run_for_each(words, cases, seconds)
    raise UsageError(
        "{--run}: {command} does not say where the files go.",
        "Write {forms}.",
        command=command,
        forms="--run 'CMD {kit} {results}' | --run 'CMD {model} {inputs} {outputs}'",
    )


def read_results(folder: Path, cases: Sequence[KitCase]) -> Answers:
    """Yield the answers that a folder has: `CASE.npz`, or `CASE.txt`, why there is none."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    for case in cases:
        if f"{case.name}.npz" in present:
            yield case, _read_outputs(folder / f"{case.name}.npz")
        elif f"{case.name}.txt" in present:
            with suppress(OSError):
                text = (folder / f"{case.name}.txt").read_text(encoding="utf-8", errors="replace")
                yield case, Failure("refused", shorten(" ".join(text.split()).rstrip("."), LONGEST))


def _read_outputs(path: Path) -> Answer:
    """Return the arrays of a file."""
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file) as arrays:
            return {name: np.asarray(array) for name, array in arrays.items()}
    except Exception as error:  # a broken file makes NumPy raise almost anything
        reason = Message("Its outputs cannot be read: {error}.", error=first_nonblank_line(error).rstrip("."))
        return Failure("refused", reason)


def _run_for_each(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    """Start the program once for each case."""
    for case in cases:
        with _start(words, [case]) as program:
            with suppress(subprocess.TimeoutExpired):
                program.process.wait(seconds)
            code = program.process.poll()
            if code is None or code < 0:
                yield case, _explain_end(code, program.log)
            elif code > 0:
                reason = _last_line(program.log) or Message("exit code {code}", code=code)
                yield case, Failure("refused", reason)
            else:
                yield next(read_results(program.results, [case]), None) or (case, _refuse(program.log))


def _run_for_all(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    """Start the program with all cases, and again with the rest after it died or was silent."""
    rest = sorted(cases)
    while rest:
        given = tuple(rest)
        with _start(words, given) as program:
            for case, answer in _watch(program, given, seconds):
                rest.remove(case)
                yield case, answer
            code = program.process.poll()
            if code == 0:
                yield from ((case, _refuse(program.log)) for case in rest)
                return
            if rest:
                guilty = _find_guilty(given, rest)
                rest.remove(guilty)
                yield guilty, _explain_end(code, program.log)


def _find_guilty(given: Sequence[KitCase], rest: Sequence[KitCase]) -> KitCase:
    """Return the first case without an answer: by name, or by path, if that was the program's order."""
    for order in (given, sorted(given, key=partial(folder_of, Path()))):
        missing = [case for case in order if case in rest]
        if missing == list(order[-len(missing) :]):
            return missing[0]
    return rest[0]


def _watch(program: _Program, cases: Sequence[KitCase], seconds: float) -> Answers:
    """Yield each answer when it is there, until all are, or the program has ended or was silent too long."""
    rest, heard = list(cases), monotonic()
    while rest:
        is_last = program.process.poll() is not None or monotonic() - heard > seconds
        answers = list(read_results(program.results, rest))
        for case, answer in answers:
            rest.remove(case)
            yield case, answer
        if answers:
            heard = monotonic()
        elif is_last:
            return
        else:
            sleep(PAUSE)


@contextmanager
def _start(words: Sequence[str], cases: Sequence[KitCase]) -> Iterator[_Program]:
    """Start a program with a kit of these cases, and end it, with all that it started, after the block.

    words: with holes for the paths; {model}, {inputs} and {outputs} are those of the first case.
    """
    with exit_cleanly(), TemporaryDirectory() as folder:
        kit, results, log = (Path(folder) / name for name in ("kit", "results", "log"))
        write_kit(kit, cases)
        results.mkdir()
        first = folder_of(kit, cases[0])
        paths = {
            "{kit}": kit,
            "{results}": results,
            "{model}": first / "model.onnx",
            "{inputs}": first / "inputs.npz",
            "{outputs}": results / f"{first.name}.npz",
        }
        filled = [re.sub("|".join(paths), lambda hole: str(paths[hole[0]]), word) for word in words]
        with log.open("wb") as errors:
            try:
                process = subprocess.Popen(
                    filled,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                raise UsageError(
                    "{--run}: {program} cannot be started: {error}.",
                    "Check the path of the program.",
                    program=words[0],
                    error=error.strerror or error,
                ) from None
        try:
            yield _Program(process, results, log)
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _refuse(log: Path) -> Failure:
    """Return the failure of a program that ended without an error, and without an answer."""
    return Failure("refused", _last_line(log) or NO_FILE)


def _explain_end(code: int | None, log: Path) -> Failure:
    """Return what a program that did not answer did.  code: its exit code; None if it was ended."""
    if code is None:
        return Failure("timed out")
    if code > 0:
        line = _last_line(log)
        template = "exit code {code}: {line}" if line else "exit code {code}"
        return Failure("crashed", Message(template, code=code, line=line))
    try:
        return Failure("crashed", signal.Signals(-code).name)
    except ValueError:
        return Failure("crashed", Message("signal {number}", number=-code))


def _last_line(log: Path) -> str:
    """Return the last line that the program wrote to stderr."""
    text = re.sub(r"\x1b\[[\d;]*\w", "", log.read_text(encoding="utf-8", errors="replace"))  # without colors
    lines = [line.strip() for line in text.splitlines()]
    return shorten(next(filter(None, reversed(lines)), "").rstrip("."), LONGEST)
