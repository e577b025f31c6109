"""Run libraries that can crash or hang on bad bytes in a child process with limited time and memory.

The child has only the file descriptors that it needs, no environment variable that may hold a secret, and
limits that it cannot raise.  What it finds is sent back as JSON with arrays in it, or as an error.
"""

from __future__ import annotations

import gc
import json
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from math import prod
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TypeVar

import numpy as np

from rnncli.errors import EngineError, InputError, LayerError, Message, RnncliError, Text
from rnncli.process import signals
from rnncli.process.memory import address_space, allocated_bytes, format_size, watch_growth
from rnncli.process.packages import ignore_warnings
from rnncli.process.signals import explain_crash

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray


Returned = TypeVar("Returned")
Work = Callable[[BinaryIO], None]

AFTER_CRASH = Message("Give different inputs, or try another version of the engine.")
PATIENCE = 4
"""On a busy machine, work that takes a second of processor time may take this many seconds."""

MORE_TIME = "RNNCLI_SECONDS"
"""Environment variable: seconds that a file may take, if that is more than the limit."""

VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TF_ENABLE_ONEDNN_OPTS")
"""The variables of the environment that a child may see."""
START = """
import sys
sys.path[:] = sys.argv[3:]
from rnncli.process import child_process
child_process.answer_request(sys.argv[1], float(sys.argv[2]))
"""
"""The program of a new process: `answer_request`, with the modules of this process."""
MOST_FILES, MOST_WRITTEN = 256, 2**30
"""Limits of a new process: open files, and bytes of a file that it writes."""

_memory_at_start: list[int | None] = []
"""In a child: the bytes of address space that it started with; None if the system does not report them."""


class IncompleteOutputError(Exception):
    """The child did not write everything."""


class EndedEarlyError(IncompleteOutputError):
    """The child exited, or was killed, before it wrote everything."""


class WorkOutput:
    """What `work` wrote.

    Reading raises EndedEarlyError if the child ends early, IncompleteOutputError if its time is up.
    read: fills the start of a buffer; returns the number of bytes, 0 at the end.
    """

    def __init__(self, read: Callable[[memoryview], int], library: Text) -> None:
        self._read, self._library = read, library

    def fill(self, buffer: memoryview) -> None:
        """Read bytes until `buffer` is full."""
        done = 0
        while done < len(buffer):
            read = self._read(buffer[done:])
            if not read:
                raise EndedEarlyError(Message("{library} could not read it", library=self._library))
            done += read

    def take(self, size: int) -> bytearray:
        """Read and return `size` bytes."""
        data = bytearray(size)
        self.fill(memoryview(data))
        return data

    def take_text(self, most: int) -> bytearray:
        """Read what `write_text` wrote; not more than `most` bytes of it."""
        return self.take(min(int.from_bytes(self.take(8), "little"), most))

    def take_array(self, shape: Sequence[int], dtype: str) -> NDArray[Any]:
        """Read the numbers of an array."""
        import numpy as np

        array: NDArray[Any] = np.empty(shape, dtype)
        if array.size:
            self.fill(array.reshape(-1).view(np.uint8).data)
        return array


def write_text(file: BinaryIO, text: bytes) -> None:
    """Write a text of any length, after the length."""
    file.write(len(text).to_bytes(8, "little") + text)


def write_array(file: BinaryIO, array: NDArray[Any]) -> None:
    """Write the numbers of a contiguous array."""
    import numpy as np

    if array.size:
        file.write(array.reshape(-1).view(np.uint8).data)


@contextmanager
def run_in_child(
    work: Work, seconds: float, memory: int, library: Text = "the library"
) -> Iterator[WorkOutput]:
    """Run `work` in a child process and yield its output; the child is always killed when the block ends.

    The child is forked.  Everything that it needs must already be imported, because it cannot open files.
    Raises EngineError on a system without fork.
    work: called with the file to write to; an exception in it ends the child.
    seconds: limit on the processor time of the child; in real time, it may take PATIENCE times as long.
    memory: bytes that the child may allocate beyond what this process already has; see `limit_memory`.
    library: what the child runs, in messages.
    """
    _require_limits(library)
    import resource  # noqa: F401 - imported here for the child

    seconds, used = allow(seconds), _time_of_children()
    reading, writing = os.pipe()
    child = 0
    try:
        with signals.defer_signals(), ignore_warnings():  # about fork() with threads, such as NumPy's
            child = os.fork()
            if not child:
                _run_child(work, writing, seconds, memory)
            os.close(writing)
        yield WorkOutput(partial(_read_in_time, reading, monotonic(), seconds), library)
    except EndedEarlyError:
        _end(child)
        child = 0
        _require_time(seconds, used)
        raise
    finally:
        os.close(reading)
        if child:
            _end(child)


def _end(child: int) -> None:
    with suppress(OSError):
        os.kill(child, signal.SIGKILL)
    with suppress(OSError):
        os.waitpid(child, 0)


def _time_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _require_time(seconds: float, used: float) -> None:
    """Raise IncompleteOutputError if the child that has just ended had its seconds of processor time.

    used: the time of all children before it.
    """
    if _time_of_children() - used > 0.9 * seconds:  # the system counts in ticks
        raise _too_long(seconds) from None


def _too_long(seconds: float) -> IncompleteOutputError:
    return IncompleteOutputError(Message("reading it took too long ({more})", more=advise_more(seconds)))


def allow(seconds: float) -> float:
    """Return the seconds that something may take: `seconds`, or what the user allows if that is more."""
    with suppress(ValueError):
        return max(seconds, min(float(os.environ.get(MORE_TIME, "0")), 1e6))
    return seconds


def result_in_time(future: Future[Returned], seconds: float) -> Returned:
    """Return the result of work in a thread.

    Raises TimeoutError after these seconds; on a busy machine, once this process has had them as processor
    time, and at most after PATIENCE times as long.
    """
    start, used = monotonic(), process_time()
    patience = seconds
    while True:
        with suppress(TimeoutError):
            return future.result(patience)
        if process_time() - used > seconds or monotonic() - start > PATIENCE * seconds:
            raise TimeoutError
        patience = seconds / 20


def advise_more(seconds: float) -> Text:
    """Return how to allow more time than these seconds."""
    return Message("{more_time}={seconds} allows more", more_time=MORE_TIME, seconds=math.ceil(4 * seconds))


@contextmanager
def run_in_new_process(
    work: str, request: bytes, seconds: float, library: str = "the library", **variables: str
) -> Iterator[WorkOutput]:
    """Run a function in a new process of Python, for a library that has threads or opens files.

    Yields its output; the process is always killed when the block ends, also by a signal.  Raises EngineError
    where a process cannot be limited, and if the library crashes.
    work: `package.module:function`, called with `request` and the file to write to.
    seconds, library: as in `run_in_child`.  variables: variables of its environment.
    """
    _require_limits(library)
    seconds, used = allow(seconds), _time_of_children()
    paths = [os.path.abspath(path) for path in sys.path]  # noqa: PTH100 - "" is the working directory
    with signals.exit_cleanly(), TemporaryDirectory() as home:
        environment = {**_plain_environment(), "HOME": home, "TMPDIR": home, **variables}
        words = [sys.executable, "-I", "-c", START, work, str(seconds), *paths]
        with subprocess.Popen(
            words,
            cwd=home,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                with suppress(BrokenPipeError), child.stdin as file:
                    file.write(request)
                read = partial(_read_in_time, child.stdout.fileno(), monotonic(), seconds)
                yield WorkOutput(read, library)
            except EndedEarlyError:
                with suppress(subprocess.TimeoutExpired):
                    code = child.wait(seconds)
                    if code < 0 and (crash := explain_crash(library, -code, AFTER_CRASH)) is not None:
                        raise crash from None
                    _require_time(seconds, used)
                raise
            finally:
                child.kill()


def answer_request(work: str, seconds: float) -> None:
    """Call `work`, in the new process, with the request from stdin; the output of `work` goes to stdout."""
    gc.disable()  # as in `rnncli.__main__`: it takes a quarter of the time in which TensorFlow loads
    request = sys.stdin.buffer.read()
    with os.fdopen(os.dup(1), "wb") as file:
        _hide_output()
        _limit_all(seconds, NOFILE=MOST_FILES, FSIZE=MOST_WRITTEN)
        module, _, name = work.partition(":")
        getattr(import_module(module), name)(request, file)


def _require_limits(library: Text) -> None:
    if not hasattr(os, "fork"):
        what = "this system cannot limit the process in which {library} would read the file."
        raise EngineError(what, "Use Linux, macOS, or Windows Subsystem for Linux.", library=library)


def _plain_environment() -> Mapping[str, str]:
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def _read_in_time(descriptor: int, start: float, seconds: float, buffer: memoryview) -> int:
    left = max(0.0, start + PATIENCE * seconds - monotonic())
    ready, _, _ = select.select([descriptor], [], [], left)
    if not ready:
        raise _too_long(seconds)
    return os.readv(descriptor, [buffer])


def limit_memory(memory: int) -> None:
    """Limit the address space of the child, in which this runs, to `memory` bytes more than at its start.

    A later call may raise this limit again, up to the limit of `run_in_child`.
    """
    for start in filter(None, _memory_at_start):
        _limit("RLIMIT_AS", start + memory, for_good=False)


def limit_data(memory: int) -> None:
    """Limit what a new process, in which this runs, allocates to `memory` bytes more than now.

    The process of the caller, where a model with classes of Python runs, has no such limit: it goes on after.
    """
    for start in _memory_at_start:
        if start is None:
            watch_growth(memory, lambda: os._exit(1))
        else:
            with suppress(OSError, ValueError):
                _limit("RLIMIT_DATA", allocated_bytes() + memory)


def limit_files_of(process: int) -> None:
    """Limit the size of each file that another process writes, on Linux."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        resource.prlimit(process, resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))


def _run_child(work: Work, writing: int, seconds: float, memory: int) -> NoReturn:
    code = 1
    try:
        for name in ("SIGINT", "SIGPIPE", *signals.ENDING):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if "faulthandler" in sys.modules:
            sys.modules["faulthandler"].disable()
        _hide_output()
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        kept = _plain_environment()
        os.environ.clear()
        os.environ.update(kept)
        with open(writing, "wb") as file:
            _limit_all(seconds, NOFILE=0)
            if _memory_at_start[0] is None:
                watch_growth(memory, lambda: os._exit(1))
            else:
                _limit("RLIMIT_AS", _memory_at_start[0] + memory)
            work(file)
        code = 0
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _hide_output() -> None:
    """Hide what a crashing library prints, and the parent's input; the parent reports the error."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    if nowhere > 2:
        os.close(nowhere)


def _limit_all(seconds: float, **most: int) -> None:
    try:
        _memory_at_start.append(address_space())
    except (OSError, ValueError):
        _memory_at_start.append(None)
    for name, value in {"CORE": 0, "CPU": math.ceil(seconds), **most}.items():
        _limit(f"RLIMIT_{name}", value)


def _limit(name: str, most: int, *, for_good: bool = True) -> None:
    """Set a limit, or a lower one if the process has that already."""
    import resource  # Unix only; `run_in_child` imported it, as the child cannot

    with suppress(OSError, ValueError):
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        within = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (within, within if for_good else hard))


TEXT = 2**28
"""Maximum length of everything but arrays, in bytes."""
KINDS = "biufc"
"""The kinds of NumPy's dtypes that are sent."""
ARRAY = ""
"""The only key of an object that stands for an array, with its number."""


@dataclass(frozen=True)
class LazyArray:
    """An array that is loaded when it is sent."""

    dtype: str
    shape: Sequence[int]
    load: Callable[[], NDArray[Any]]


def send(file: BinaryIO, find: Callable[[], Any]) -> None:
    """Write, in the child, what `find` returns, or the error of rnncli that it raises.

    find: returns what JSON can hold, with arrays and LazyArray in it.
    """
    arrays: list[LazyArray] = []

    def place(value: NDArray[Any] | LazyArray) -> dict[str, int]:
        if not isinstance(value, LazyArray):
            value = LazyArray(value.dtype.str, value.shape, partial(np.asarray, value))
        arrays.append(value)
        return {ARRAY: len(arrays) - 1}

    try:
        text = json.dumps({"found": find()}, default=place).encode()
        if len(text) > TEXT:
            raise InputError("its names are too long.")
    except RnncliError as error:
        arrays.clear()
        packed = map(_pack_message, (error.detail, error.advice))
        text = json.dumps({"error": [type(error).__name__, *packed]}).encode()
    write_text(file, json.dumps([(array.dtype, array.shape) for array in arrays]).encode())
    write_text(file, text)
    for array in arrays:
        write_array(file, np.ascontiguousarray(array.load()))


def receive(answer: WorkOutput, most: int, *errors: type[RnncliError]) -> Any:
    """Return what `send` wrote, or raise the error; tuples come back as lists.

    most: bytes that the arrays may take.  errors: the classes that may be raised, besides rnncli's own.
    Raises IncompleteOutputError if the arrays are larger, or of another kind.
    """
    shapes = [(np.dtype(dtype), shape) for dtype, shape in json.loads(answer.take_text(TEXT))]
    text = answer.take_text(TEXT)
    # An axis of 0 counts as 1, because NumPy limits the other axes too.
    size = sum(dtype.itemsize * prod(max(1, axis) for axis in shape) for dtype, shape in shapes)
    if size > most or any(dtype.kind not in KINDS for dtype, _ in shapes):
        raise IncompleteOutputError(
            Message(
                "its numbers take {size}, more than the limit of {most}",
                size=format_size(size),
                most=format_size(most),
            )
        )
    arrays = [answer.take_array(shape, dtype.str) for dtype, shape in shapes]

    def restore(entry: dict[str, Any]) -> Any:
        return arrays[entry[ARRAY]] if entry.keys() == {ARRAY} else entry

    head = json.loads(text, object_hook=restore)
    if "error" in head:
        name, (detail, fields), (advice, others) = head["error"]
        kinds: tuple[type[RnncliError], ...] = (InputError, LayerError, EngineError, *errors)
        kind = next((known for known in kinds if known.__name__ == name), EngineError)
        raise kind(Message(detail, **fields), Message(advice, **others))
    return head["found"]


def _pack_message(message: Message) -> tuple[str, dict[str, Any]]:
    """Return the template and the fields as JSON can hold them."""
    fields = message.fields.items()
    return message.template, {name: value if isinstance(value, int) else str(value) for name, value in fields}
