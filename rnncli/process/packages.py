"""Load packages when they are first needed; let a framework work alone, and leave the process as it was.

A framework has one state for the whole process: random generators, options, the environment, filters of
warnings, and file descriptor 2, where compiled code prints.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any

from rnncli.errors import EngineError, Text
from rnncli.process.signals import defer_signals

_lock = RLock()
_CONTEXT = "tensorflow.python.eager.context"
"""Where TensorFlow keeps its seed, and the generator that it makes the seeds of operations with."""
_SHARED = "tensorflow.python.ops.stateful_random_ops"
"""Where TensorFlow keeps the generator of `tf.random.get_global_generator`."""


@contextmanager
def isolated() -> Iterator[None]:
    """Run the block in one thread at a time; afterwards restore what a framework may have changed.

    The block starts with Keras's defaults, whatever the caller has set.  What is written to file
    descriptor 2 is hidden; an error of the block carries it as a note.
    """
    with _lock, _hide_output(), ignore_warnings(), _restore_environment(), restore_random():
        kept = _set_keras({}, "float32")
        try:
            yield
        finally:
            _set_keras(*kept)


@contextmanager
def ignore_warnings() -> Iterator[None]:
    """Ignore warnings in the block; in one thread at a time, as they restore one list of filters."""
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _hide_output() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed, so there is nothing to hide
        yield
        return
    import tempfile

    with tempfile.TemporaryFile() as held:
        _flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception as error:
            held.seek(0)
            error.add_note(held.read().decode(errors="replace")[-2000:])
            raise
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


@contextmanager
def _restore_environment() -> Iterator[None]:
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: text for name, text in before.items() if os.environ.get(name) != text})


@contextmanager
def restore_random() -> Iterator[None]:
    """Restore the generators that `keras.utils.set_random_seed` seeds, and TensorFlow's shared one."""
    import random

    import numpy as np

    state, arrays, tensorflow = random.getstate(), np.random.get_state(), _tensorflow_seed()
    module: Any = sys.modules.get(_SHARED)
    shared = module and module.global_generator
    numbers = shared and shared.state.read_value()
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(arrays)
        if context := sys.modules.get(_CONTEXT):
            seeds = [seed["_rng"] and seed["_rng"].getstate() for seed in (tensorflow, _tensorflow_seed())]
            if seeds[0] != seeds[1]:  # an operation of the same seed would go on after its last number
                context.context().clear_kernel_cache()
            vars(context.context()).update(tensorflow)
        module = sys.modules.get(_SHARED)
        if module:
            module.global_generator = shared
        if shared:
            shared.state.assign(numbers)


def _tensorflow_seed() -> dict[str, Any]:
    context = sys.modules.get(_CONTEXT)
    state = vars(context.context()) if context else {}
    from copy import deepcopy

    return {name: deepcopy(state.get(name)) for name in ("_seed", "_rng")}


def _set_keras(state: dict[str, Any], floatx: str) -> tuple[dict[str, Any], str]:
    """Set what Keras keeps for this thread, and its default dtype; return what they were.

    It keeps options, a seed, and the number in the name of the next layer.
    """
    tracker = sys.modules.get("keras.src.backend.common.global_state")
    if not tracker or "keras" not in sys.modules:  # or its import has failed half-way
        return {}, "float32"
    current, config = vars(tracker.GLOBAL_STATE_TRACKER), sys.modules["keras"].config
    before = dict(current), config.floatx()
    current.clear()
    current.update(state)
    config.set_floatx(floatx)
    return before


def import_package(package: str, what: Text, install: str = "") -> Any:
    """Return the module `package`, which is needed to read `what`.

    install: what pip installs, if its name is not `package`.  Raises EngineError if it is not installed.
    A signal waits until the module is loaded: orjson crashes the process if its loading is interrupted.
    """
    if (loaded := sys.modules.get(package)) is not None:
        return loaded
    try:
        with defer_signals():
            return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise EngineError(
            "{name} is not installed; it is needed to read {what}.",
            "pip install {install}",
            name=name,
            what=what,
            install=install or name,
        ) from None


def import_engine(engine: str, *packages: str) -> list[Any]:
    """Return the modules of the packages that an engine needs.  Raises EngineError if one is missing."""

    try:
        with defer_signals(), isolated():
            return [import_module(package) for package in packages]
    except ImportError as error:
        what = "the engine {engine} is not installed: {error}."
        raise EngineError(
            what, "pip install {packages}", engine=engine, error=error, packages=" ".join(packages)
        ) from error
