"""Files that rnncli does not read, each with a line of Python that writes its weights to another file."""

from __future__ import annotations

import shlex
from pathlib import Path

from rnncli.errors import InputError, python_command

PICKLES = (".pkl", ".pickle", ".dill")
START = 2**20
"""Bytes of a pickle that are searched for the names of packages, which stand in front of the numbers."""
PICKLED_MODULE = """import pickle, torch
m = pickle.load(open(%(file)s, "rb"))
torch.save(getattr(m, "state_dict", lambda: m)(), %(to)s)"""
PICKLED_ARRAYS = """import pickle, numpy as np
w = pickle.load(open(%(file)s, "rb"))
w = w if isinstance(w, dict) else {f"arr_{i}": a for i, a in enumerate(w)}
np.savez(%(to)s, **w)"""

RENAME = """import numpy as np
w = np.load(%(file)s)
np.savez(%(to)s, """
KERAS, TORCH = (
    ("kernel", "recurrent_kernel", "bias"),
    ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
)


def refuse_tensorflow(path: Path) -> None:
    """Raise InputError for a SavedModel, and for a checkpoint of TensorFlow by any of its three names.

    A checkpoint `model` is the files `model.index` and `model.data-00000-of-00001`, often in a folder.
    """
    folder = path.parent if path.name == "saved_model.pb" else path
    if checkpoint_of(path) is not None:
        raise InputError(
            "it holds variables of TensorFlow.",
            "To run its recurrent layers: rnncli run INPUT --model {file}",
            file=shlex.quote(str(path)),
        )
    if (folder / "saved_model.pb").is_file():
        raise InputError(
            "it is a TensorFlow SavedModel, a folder, without variables.",
            "Save the whole model with model.save('model.keras').",
        )


def checkpoint_of(path: Path) -> Path | None:
    """Return the prefix of a checkpoint, of which the path is the prefix, a file or the folder.

    Also of the variables of a SavedModel.
    """
    if path.name == "saved_model.pb":
        path = path.parent
    if (path / "variables" / "variables.index").is_file():
        return path / "variables" / "variables"
    if path.is_dir():
        indices = sorted(path.glob("*.index"), key=lambda index: index.stat().st_mtime)
        return indices[-1].with_suffix("") if indices else None
    prefix = path
    if path.suffix == ".index" or path.suffix.startswith(".data-"):
        prefix = path.with_suffix("")
    elif path.exists():
        return None
    return prefix if prefix.with_name(f"{prefix.name}.index").is_file() else None


def refuse_pickle(path: Path) -> None:
    """Raise InputError for a pickle, which may run any code when it is loaded."""
    if path.suffix.lower() not in PICKLES:
        return
    with path.open("rb") as file:
        start = file.read(START)
    if start[:1] not in b"\x80(]}c" or not start:
        return
    is_torch = b"torch" in start
    to = f"{path.stem}-weights.{'pt' if is_torch else 'npz'}"
    raise InputError(
        "it is a pickle; loading a pickle runs the code in it, so rnncli does not.",
        "If you trust the file, write its weights to {to}: {command}",
        to=to,
        command=python_command(PICKLED_MODULE if is_torch else PICKLED_ARRAYS, str(path), to),
    )
