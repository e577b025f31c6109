"""How an implementation answers the cases: a program for each, a program for all, or files that are there.

A program runs in processes of its own, which may crash or hang; what it prints is not shown.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from zipfile import BadZipFile

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


def run_implementation(name: str, cases: Sequence[KitCase], seconds: float) -> Answers:
    """Yield the answers of an installed package; see `implementations`."""
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" is the working directory
    return _run_with_kit([sys.executable, "-c", START, name, "{kit}", "{results}", *paths], cases, seconds)


def run_program(command: str, cases: Sequence[KitCase], seconds: float) -> Answers:
    """Yield the answers of a program.

    command: takes all cases if it has the holes {kit} and {results}; one with {model}, {inputs}, {outputs}.
    seconds: how long it may be silent.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError("{--run}: {error}.", "Close every quote.", error=error) from None
    for run, holes in ((_run_with_kit, ("kit", "results")), (_run_each, ("model", "inputs", "outputs"))):
        if all(f"{{{hole}}}" in command for hole in holes):
            return run(words, cases, seconds)
    raise UsageError(
        "{--run}: {command} does not say where the files go.",
        "Write {forms}.",
        command=command,
        forms="--run 'CMD {kit} {results}' | --run 'CMD {model} {inputs} {outputs}'",
    )


def read_results(folder: Path, cases: Sequence[KitCase]) -> Answers:
    """Yield the answers that a folder has: `CASE.npz`, or `CASE.txt`, why there is none."""
    for case in cases:
        if (answer := _read_answer(folder, case)) is not None:
            yield case, answer


def _read_answer(folder: Path, case: KitCase) -> Answer | None:
    """Return the answer to a case; None if the folder has none."""
    with suppress(FileNotFoundError):
        return _read_outputs(folder / f"{case.name}.npz")
    with suppress(FileNotFoundError):
        text = (folder / f"{case.name}.txt").read_text(encoding="utf-8", errors="replace")
        return Failure("refused", shorten(" ".join(text.split()).rstrip("."), LONGEST))
    return None


def _read_outputs(path: Path) -> Answer:
    """Return the arrays of a file.  Raises FileNotFoundError if there is none."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, KeyError, AttributeError, BadZipFile) as error:
        reason = Message("Its outputs cannot be read: {error}.", error=first_nonblank_line(error))
        return Failure("refused", reason)


def _run_each(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    """Start the program once for each case."""
    with exit_cleanly(), TemporaryDirectory() as folder:
        kit, outputs, log = (Path(folder) / name for name in ("kit", "outputs.npz", "log"))
        for case in _write(kit, cases):
            model, inputs = (str(folder_of(kit, case) / name) for name in ("model.onnx", "inputs.npz"))
            outputs.unlink(missing_ok=True)
            with _start(words, log, model=model, inputs=inputs, outputs=str(outputs)) as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                code = process.poll()
            if code is None or code < 0:
                yield case, _explain_end(code, log)
            elif code or not outputs.exists():
                yield case, Failure("refused", _last_line(log) or NO_FILE)
            else:
                yield case, _read_outputs(outputs)


def _run_with_kit(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    """Start the program with all cases, and again with the rest after it died or was silent."""
    with exit_cleanly(), TemporaryDirectory() as folder:
        kit, results, log = (Path(folder) / name for name in ("kit", "results", "log"))
        results.mkdir()
        rest = _write(kit, sorted(cases))
        while rest:
            given = tuple(rest)
            with _start(words, log, kit=str(kit), results=str(results)) as process:
                for case, answer in _watch(process, results, given, seconds):
                    rest.remove(case)
                    yield case, answer
                code = process.poll()
            if code == 0:
                yield from ((case, Failure("refused", _last_line(log) or NO_FILE)) for case in rest)
                return
            if rest:
                guilty = _find_guilty(given, rest)
                rest.remove(guilty)
                yield guilty, _explain_end(code, log)
                _keep(kit, rest)


def _write(kit: Path, cases: Sequence[KitCase]) -> list[KitCase]:
    """Write a kit; return the cases in it: the installed onnx may be too old for some."""
    left_out = write_kit(kit, cases)
    return [case for case in cases if case not in left_out]


def _find_guilty(given: Sequence[KitCase], rest: Sequence[KitCase]) -> KitCase:
    """Return the first case without an answer: by name, or by path, if that was the program's order."""
    for order in (given, sorted(given, key=lambda case: folder_of(Path(), case))):
        first = [case in rest for case in order].index(True)
        if all(case in rest for case in order[first:]):
            return order[first]
    return rest[0]


def _watch(
    process: subprocess.Popen[bytes], results: Path, cases: Sequence[KitCase], seconds: float
) -> Answers:
    """Yield each answer when it is there, until all are, or the program has ended or was silent too long."""
    rest, heard = list(cases), monotonic()
    while rest:
        is_last = process.poll() is not None or monotonic() - heard > seconds
        answers = [(case, answer) for case in rest if (answer := _read_answer(results, case)) is not None]
        for case, answer in answers:
            rest.remove(case)
            yield case, answer
        if answers:
            heard = monotonic()
        elif is_last:
            return
        else:
            sleep(PAUSE)


def _keep(kit: Path, rest: Sequence[KitCase]) -> None:
    """Take all other cases out of a kit."""
    names = {case.name for case in rest}
    listed = json.loads((kit / "cases.json").read_text(encoding="utf-8"))["cases"]
    kept = [case for case in listed if case["name"] in names]
    (kit / "cases.json").write_text(json.dumps({"cases": kept}), encoding="utf-8")
    for model in list(kit.rglob("model.onnx")):
        if model.parent.name not in names:
            shutil.rmtree(model.parent)


@contextmanager
def _start(words: Sequence[str], log: Path, **paths: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, and end it, with all that it started, when the block ends.

    words: with holes for the paths.  log: the file for what it writes to stderr.
    """
    filled = []
    for word in words:
        for hole, path in paths.items():
            word = word.replace(f"{{{hole}}}", path)
        filled.append(word)
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
            yield process
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _explain_end(code: int | None, log: Path) -> Failure:
    """Return what a program that did not answer did.  code: its exit code; None if it was ended."""
    if code is None:
        return Failure("timed out")
    if code > 0:
        return Failure("crashed", Message("exit code {code}: {line}", code=code, line=_last_line(log)))
    known = -code in {*signal.Signals}
    return Failure(
        "crashed", signal.Signals(-code).name if known else Message("signal {number}", number=-code)
    )


def _last_line(log: Path) -> str:
    """Return the last line that the program wrote to stderr."""
    text = re.sub(r"\x1b\[[\d;]*\w", "", log.read_text(encoding="utf-8", errors="replace"))  # without colors
    lines = [line.strip() for line in text.splitlines()]
    return shorten(next(filter(None, reversed(lines)), "").rstrip("."), LONGEST)
