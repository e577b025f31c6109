"""Helpers that run the real command."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from unittest import mock

from limits import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = (
    "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL", "LC_MESSAGES", "PYTHONIOENCODING",
    "RNNCLI_DEBUG", "COLORTERM", "PAGER", "MANPAGER", "LESS", "LESSCHARSET",
)  # fmt: skip

HEAVY = {"tensorflow", "keras", "torch", "onnx", "onnxruntime", "matplotlib", "h5py", "textual", "pandas"}
PROGRAM = """
import contextlib, io, json, sys
from rnncli.cli.app import main
found = []
for args in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        code = main(args)
    found.append([code, sorted(sys.modules)])
print(json.dumps(found))
"""


class Completed(subprocess.CompletedProcess[str]):
    """A command that has ended, with what it wrote."""

    def refusal(self) -> str:
        """Return the message of a command that was refused, which has exit code 2 and no answer."""
        assert (self.returncode, self.stdout) == (2, ""), self.stderr
        return self.stderr

    def success(self) -> Completed:
        """Return the command, which had no error."""
        assert self.returncode == 0, self.stderr
        return self

    def answer(self) -> Any:
        """Return the JSON of a command that had no error."""
        return json.loads(self.success().stdout)

    def tensors(self) -> dict[str, Any]:
        """Return the values in the JSON of `run`, by the names of the tensors."""
        return {tensor["name"]: tensor["values"] for tensor in self.answer()["outputs"]}


Run = Callable[..., Completed]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without the variables that change how an answer looks.

    A child that reads a file may take long, as it does on a busy machine.
    """
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    added = {"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), "RNNCLI_SECONDS": str(PATIENCE)}
    return kept | added | dict(extra or {})


def run_words(*words: str, env: Mapping[str, str] | None = None, **more: Any) -> Completed:
    """Run a command in its own process; stdin is the null device unless `input` or `stdin` is given."""
    if "input" not in more:
        more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.PIPE)
    done = subprocess.run(
        words, env=environment(env), stderr=subprocess.PIPE, text=True, encoding="utf-8", timeout=PATIENCE,
        check=False, **more,
    )  # fmt: skip
    return Completed(words, done.returncode, done.stdout, done.stderr)


def run_process(*args: str, **more: Any) -> Completed:
    """Run `rnncli ARGS` in its own process."""
    return run_words(sys.executable, "-m", "rnncli", *args, **more)


def run_program(program: str, *args: str, **more: Any) -> Completed:
    """Run a program of Python with these arguments in its own process."""
    return run_words(sys.executable, "-c", program, *args, **more)


def run_here(
    *args: str,
    cwd: str | PathLike[str] = ".",
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    **streams: Any,
) -> Completed:
    """Run `rnncli ARGS` in this process, which loads a framework once for many tests.

    Streams of another kind, and variables that Python reads when it starts, get a process of their own.
    """
    from rnncli.cli.app import main

    if streams or any(name.startswith("PYTHON") for name in env or ()):
        return run_process(*args, cwd=cwd, env=env, **streams)
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, environment(env), clear=True),
        TemporaryFile() as out,
        TemporaryFile() as err,
        standard_input(input),
        redirected(1, out),
        redirected(2, err),
    ):
        code = main(list(args))
        sys.stdout.flush()
        sys.stderr.flush()
        texts = [os.pread(file.fileno(), file.seek(0, os.SEEK_END), 0).decode() for file in (out, err)]
    return Completed(args, code, *texts)


@contextlib.contextmanager
def standard_input(text: str | None) -> Iterator[None]:
    """Make stdin a pipe that holds the text, or the null device."""
    if text is None:
        with Path(os.devnull).open("rb") as nothing, redirected(0, nothing):
            yield
        return
    reading, writing = os.pipe()

    def fill() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "w", encoding="utf-8") as pipe:
            pipe.write(text)

    filling = threading.Thread(target=fill)
    filling.start()
    with os.fdopen(reading, "rb") as pipe, redirected(0, pipe):
        yield
    filling.join()


@contextlib.contextmanager
def redirected(descriptor: int, file: IO[bytes]) -> Iterator[None]:
    """Make a file the standard stream of that number, for Python and for what is under it."""
    kept = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    name, mode = ("stdin", "r") if descriptor == 0 else ("stdout" if descriptor == 1 else "stderr", "w")
    try:
        with (
            open(descriptor, mode, encoding="utf-8", closefd=False) as stream,
            mock.patch(f"sys.{name}", stream),
        ):
            yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def loaded_by(*args: str, each: Iterable[Iterable[str]] = ((),)) -> set[str]:
    """Return the modules that a process loads for a command, with each of these endings in turn."""
    commands = [[*args, *ending] for ending in each]
    done = run_program(PROGRAM, json.dumps(commands))
    found = done.answer()
    for command, (code, _) in zip(commands, found, strict=True):
        assert code == 0, (command, done.stderr)
    return set(found[-1][1])
