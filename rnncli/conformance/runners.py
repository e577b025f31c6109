"""How an implementation answers the cases: a program for each, or a program for all; or a folder of answers.

A program runs in processes of its own, which may crash or hang; what it prints is not shown.  The files that
it leaves may be a pipe that nobody writes to, a link to a device without an end, or gigabytes of zeros packed
into a few bytes.  So the kind and the size of a file are known before it is read, and what cannot be read
within the limits is refused, with the reason.  At the end stand the packages that `--implementation` names.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import metadata, util
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from rnncli.conformance.kit import folder_of, model_path, write_kit
from rnncli.conformance.oracle import KitCase
from rnncli.conformance.verdicts import Failure
from rnncli.errors import EngineError, InputError, Message, Text, UsageError, first_nonblank_line, shorten
from rnncli.inputs.formats import npz
from rnncli.process.child_process import limit_files_of
from rnncli.process.memory import format_size
from rnncli.process.signals import exit_cleanly
from rnncli.values import Array, __version__

NO_FILE = Message("It wrote no outputs.")
PAUSE = 0.02
"""Seconds between two looks at what a program has written."""
BLOCK = 2**16
"""Bytes of stderr that are read at a time: as many as wait in a pipe."""
START = """
import sys
sys.path[:] = sys.argv[4:]
import rnncli.conformance.runners
rnncli.conformance.runners.answer_kit(*sys.argv[1:4])
"""
"""The program in which an installed package answers."""


class _Program:
    """A program that runs, and the end of what it wrote to stderr; the rest is read and forgotten.

    results: the folder that it writes its answers into.
    """

    def __init__(self, process: subprocess.Popen[bytes], results: Path) -> None:
        assert process.stderr is not None
        self.process, self.results = process, results
        self._stderr, self._end = process.stderr.fileno(), b""
        os.set_blocking(self._stderr, False)

    def wait(self, seconds: float) -> int | None:
        """Let it run for these seconds at most; return its exit code, None if it has not ended."""
        until = monotonic() + seconds
        while (code := self.process.poll()) is None and monotonic() < until:
            self.listen(PAUSE)
        return code

    def listen(self, seconds: float) -> None:
        """Read what it writes to stderr for these seconds, or until it ends."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if not select.select([self._stderr], [], [], left)[0]:
                return
            if not self._read():
                with suppress(subprocess.TimeoutExpired):  # it closed stderr, and perhaps goes on
                    self.process.wait(left)
                return

    def last_line(self) -> str:
        """Return the last line that it has written to stderr, once it has ended."""
        self._read()
        return last_line(self._end)

    def _read(self) -> bytes:
        try:
            block = os.read(self._stderr, BLOCK)
        except BlockingIOError:
            return b""
        self._end = (self._end + block)[-MOST_TEXT:]
        return block


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


def _run_for_each(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    for case in cases:
        with _start(words, [case]) as program:
            code = program.wait(seconds)
            if code is None or code < 0:
                yield case, _explain_end(code, program)
            elif code > 0:
                reason = program.last_line() or Message("exit code {code}", code=code)
                yield case, Failure("refused", reason)
            else:
                yield next(read_results(program.results, [case]), None) or (case, _refuse(program))


def _run_for_all(words: Sequence[str], cases: Sequence[KitCase], seconds: float) -> Answers:
    rest = sorted(cases)
    while rest:
        given = tuple(rest)
        with _start(words, given) as program:
            for case, answer in _watch(program, given, seconds):
                rest.remove(case)
                yield case, answer
            code = program.process.poll()
            if code == 0:
                yield from ((case, _refuse(program)) for case in rest)
                return
            if rest:
                guilty = _find_guilty(given, rest)
                rest.remove(guilty)
                yield guilty, _explain_end(code, program)


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
            program.listen(PAUSE)


@contextmanager
def _start(words: Sequence[str], cases: Sequence[KitCase]) -> Iterator[_Program]:
    """Start a program with a kit of these cases, and end it, with all that it started, after the block.

    words: with holes for the paths; {model}, {inputs} and {outputs} are those of the first case.
    """
    with exit_cleanly(), ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
            kit, results = folder / "kit", folder / "results"
            write_kit(kit, cases)
            results.mkdir()
        except OSError as error:
            raise UsageError(
                "a temporary file cannot be written: {strerror}.",
                "Name a folder with more room in TMPDIR.",
                strerror=error.strerror or error,
            ) from None
        first = folder_of(kit, cases[0])
        paths = {
            "{kit}": kit,
            "{results}": results,
            "{model}": model_path(kit, cases[0]),
            "{inputs}": first / "inputs.npz",
            "{outputs}": results / f"{first.name}.npz",
        }
        filled = [re.sub("|".join(paths), lambda hole: str(paths[hole[0]]), word) for word in words]
        try:
            process = subprocess.Popen(
                filled,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
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
            limit_files_of(process.pid)
            yield _Program(process, results)
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _refuse(program: _Program) -> Failure:
    return Failure("refused", program.last_line() or NO_FILE)


def _explain_end(code: int | None, program: _Program) -> Failure:
    """Return what a program that did not answer did.  code: its exit code; None if it was ended."""
    if code is None:
        return Failure("timed out")
    if code > 0:
        line = program.last_line()
        template = "exit code {code}: {line}" if line else "exit code {code}"
        return Failure("crashed", Message(template, code=code, line=line))
    try:
        return Failure("crashed", signal.Signals(-code).name)
    except ValueError:
        return Failure("crashed", Message("signal {number}", number=-code))


Answer = Mapping[str, Array] | Failure
Answers = Iterator[tuple[KitCase, Answer]]
"""Each case with its answer, as soon as it is there."""
MOST = 2**20
"""Bytes of a file of outputs, packed and unpacked, or four times its inputs; mostly a few hundred numbers."""
MOST_ARRAYS = 32
"""Arrays of a file that are read if the outputs of the case are not among them by name."""
MOST_TEXT = 2**16
"""Bytes of a text that are read: its last ones."""
LONGEST = 1000
"""Characters of a reason."""
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""Opens even a named pipe at once, which a program may put there meanwhile; Windows has none in a folder."""


def read_results(folder: Path, cases: Sequence[KitCase]) -> Answers:
    """Yield the answers that a folder has: `CASE.npz`, or `CASE.txt`, why there is none."""
    for case in cases:
        outputs, reason = (folder / f"{case.name}.{suffix}" for suffix in ("npz", "txt"))
        if os.path.lexists(outputs):
            yield case, _read_outputs(outputs, case)
        elif os.path.lexists(reason):
            yield case, _read_reason(reason)


def last_line(text: bytes) -> str:
    """Return the last line of what a program wrote to stderr."""
    plain = re.sub(r"\x1b\[[\d;]*\w", "", text.decode("utf-8", "replace"))  # without colors
    lines = [line.strip() for line in plain.splitlines()]
    return shorten(next(filter(None, reversed(lines)), "").rstrip("."), LONGEST)


def _read_outputs(path: Path, case: KitCase) -> Answer:
    """Return the arrays of a file: the outputs of the case; all if one of them is not there by its name."""

    def choose(names: Sequence[str]) -> Sequence[str]:
        if set(case.outputs) <= set(names):
            return case.outputs
        if len(names) > MOST_ARRAYS:
            raise InputError(
                "it has {count} arrays, but not {names}.",
                count=len(names),
                names=", ".join(name for name in case.outputs if name not in names),
            )
        return names

    try:
        with _open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            most = max(MOST, 4 * sum(array.nbytes for array in case.inputs.values()))
            if size > most:
                raise InputError(
                    "it has {size}, and the outputs of a case at most {most}.",
                    size=format_size(size),
                    most=format_size(most),
                )
            return npz.read_arrays(file.read(size), choose, most)
    except Exception as error:  # a file that goes away, or changes, makes Python raise almost anything
        return _unreadable(error)


def _unreadable(error: Exception) -> Failure:
    if isinstance(error, InputError):
        reason: Text = error.sentence
    else:
        reason = getattr(error, "strerror", None) or first_nonblank_line(error).rstrip(".")
    return Failure("refused", Message("Its outputs cannot be read: {error}.", error=reason))


def _read_reason(path: Path) -> Failure:
    """Return the refusal that a file explains; of a long text, its end."""
    try:
        with _open_regular(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_TEXT))
            read = file.read(MOST_TEXT).replace(b"\0", b" ").decode("utf-8", "replace")
    except Exception as error:
        return _unreadable(error)
    text = " ".join(read.split()).rstrip(".")
    return Failure("refused", text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}")


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that is in its folder, also through links.  Raises InputError for anything else."""
    target = path.resolve(strict=True)
    if not target.is_relative_to(path.parent.resolve()):
        raise InputError("it is a link out of its folder.")
    if not stat.S_ISREG(target.stat().st_mode):
        raise InputError("it is not a regular file.")
    with open(target, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | NO_WAIT)) as file:
        yield cast("BinaryIO", file)


Inputs = Mapping[str, Array]
Outputs = Sequence[Any]
"""Arrays, in the order of the graph."""


def _rnncli(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    """Compute the node as `rnncli run --model` does, and return its tensors in the layout of the file."""
    import onnx

    from rnncli.ask import Ask, subject_of
    from rnncli.compute import join_results

    node = onnx.load(model).graph.node[0]
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    every = {"return_sequences": True, "return_state": True}
    computed = subject_of(Ask(dict(inputs), model=str(model), options=every)).compute(None)
    result = join_results(computed.results, computed.batch)
    tensors = {tensor.name.rpartition("/")[2]: tensor.values for tensor in result.outputs}
    directions = ("forward_", "backward_") if attributes.get("direction") == b"bidirectional" else ("",)
    y = np.stack(np.split(tensors["hidden_states"], len(directions), axis=-1), axis=2)  # (b, t, d, u)
    states = {
        f"Y_{letter}": np.stack([tensors[f"{direction}last_{state}_state"] for direction in directions])
        for letter, state in (("h", "hidden"), ("c", "cell"))
        if f"{directions[0]}last_{state}_state" in tensors
    }
    if attributes.get("layout"):
        arrays = {"Y": y, **{name: state.swapaxes(0, 1) for name, state in states.items()}}
    else:
        arrays = {"Y": y.transpose(1, 2, 0, 3), **states}
    return [arrays[name] for name in outputs]


def _onnxruntime(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    returned: list[Any] = session.run(list(outputs), dict(inputs))
    return returned


def _onnx_reference(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    from onnx.reference import ReferenceEvaluator

    return list(ReferenceEvaluator(str(model)).run(list(outputs), dict(inputs)))


def _openvino(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import openvino

    # in float32 even where the processor has something faster
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    returned = compiled(dict(inputs))
    return [returned[name] for name in outputs]


def _opencv(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import cv2

    network = cv2.dnn.readNetFromONNX(str(model))
    for name, array in inputs.items():
        network.setInput(array, name)
    returned: Sequence[Any] = network.forward(list(outputs))
    return returned


def _tract(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import tract

    runnable = tract.onnx().load(model).into_model().into_runnable()
    return [tensor.to_numpy() for tensor in runnable.run(list(inputs.values()))]


def _onnx2pytorch(model: Path, inputs: Inputs, outputs: Sequence[str]) -> Outputs:
    import onnx
    import onnx2pytorch
    import torch

    module = onnx2pytorch.ConvertModel(onnx.load(model))
    with torch.no_grad():
        returned = module(*map(torch.from_numpy, inputs.values()))
    tensors = returned if isinstance(returned, (tuple, list)) else [returned]
    return [tensor.numpy() for tensor in tensors]


class Implementation(NamedTuple):
    """A package.

    package: the module that is imported.  install: what pip installs.
    run: computes a model; takes its file, the inputs in the graph's order, and the names of the outputs.
    """

    package: str
    install: str
    run: Callable[[Path, Inputs, Sequence[str]], Outputs]


IMPLEMENTATIONS = {
    "rnncli": Implementation("rnncli", "rnncli", _rnncli),
    "onnxruntime": Implementation("onnxruntime", "onnxruntime", _onnxruntime),
    "onnx.reference": Implementation("onnx", "onnx", _onnx_reference),
    "openvino": Implementation("openvino", "openvino", _openvino),
    "opencv": Implementation("cv2", "opencv-python-headless", _opencv),
    "tract": Implementation("tract", "tract", _tract),
    "onnx2pytorch": Implementation("onnx2pytorch", "onnx2pytorch", _onnx2pytorch),
}


def version_of(name: str) -> str:
    """Return the version of an implementation.  Raises EngineError if it is not installed."""
    package, install, _ = IMPLEMENTATIONS[name]
    if package == "rnncli":
        return __version__
    if util.find_spec(package) is None:
        raise EngineError(
            "{name} is not installed.", Message("pip install {install}", install=install), name=name
        )
    distributions = metadata.packages_distributions().get(package, [install])
    return metadata.version(distributions[0])


def answer_kit(name: str, kit: str, results: str) -> None:
    """Let an implementation answer the cases of a kit; see `rnncli.conformance.runners`."""
    run = IMPLEMENTATIONS[name].run
    for model in sorted(Path(kit).rglob("model.onnx"), key=lambda model: model.parent.name):
        inputs, wanted = (dict(np.load(model.with_name(f"{kind}.npz"))) for kind in ("inputs", "outputs"))
        part, suffix = Path(results) / f"{model.parent.name}.part", "npz"
        try:
            outputs = dict(zip(wanted, run(model, inputs, list(wanted)), strict=False))
            with part.open("wb") as file:
                np.savez(file, **outputs)
        except Exception as error:  # each library has its own
            reason = " ".join(str(error).partition("Stack backtrace")[0].split())
            part.write_text(f"{type(error).__name__}: {reason}", encoding="utf-8")
            suffix = "txt"
        part.rename(part.with_suffix(f".{suffix}"))
