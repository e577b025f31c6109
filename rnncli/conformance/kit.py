"""The files of the kit: a folder for each case, in the layout of ONNX's own backend tests, and `cases.json`.

```
cases.json                      what each case is about, its inputs, outputs, type and tolerance
lstm_reverse_lens/model.onnx    one node
    data.json                   the tolerance, where ONNX's loader of such tests reads it
    inputs.npz, outputs.npz     by the names of the graph's inputs and outputs
    test_data_set_0/            the same as input_0.pb, ..., output_0.pb, ..., in the graph's order
open/lstm_clip_cell/            a case with more than one right answer: one test_data_set for each reading
```
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import singledispatch
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.conformance.oracle import INPUTS, OUTPUTS, TOLERANCES, KitCase, compute, list_cases, readings
from rnncli.process.packages import import_package
from rnncli.process.signals import exit_cleanly
from rnncli.values import Array

PRODUCER = "rnncli conformance"


def list_too_new(cases: Iterable[KitCase]) -> list[KitCase]:
    """Return the cases that the installed onnx is too old to write.  Raises EngineError if it is missing."""
    onnx = import_package("onnx", "ONNX models")
    newest = onnx.defs.onnx_opset_version()
    return [case for case in cases if case.opset > newest or case.ir_version > onnx.IR_VERSION]


def write_kit(folder: Path, cases: Sequence[KitCase]) -> None:
    """Write cases into a folder; a kit that is there goes, and other files in it stay.

    Everything is written aside, and moved when it is complete: after an error nothing new is left, and a kit
    that is there is still whole.  No link is followed but the folder itself.
    Raises OSError with the name of the file that cannot be written.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    part = folder / f".{os.urandom(4).hex()}.part"
    with exit_cleanly():
        try:
            part.mkdir(parents=True)
            for case in cases:
                for name, content in files_of(case).items():
                    _write(folder_of(part, case) / name, content, folder_of(folder, case) / name)
            for name, content in shared_files(cases[0]).items():
                _write(part / name, content, folder / name)
            listed = json.dumps({"cases": list(map(describe, cases))}, indent=1)
            _write(part / "cases.json", f"{listed}\n".encode(), folder / "cases.json")
            _move(part, folder, cases)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            for path in missing:
                with suppress(OSError):
                    path.rmdir()
            raise


def _write(path: Path, content: bytes, name: Path) -> None:
    """Write a new file; in an error, it has this name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(name)) from None


def _move(part: Path, folder: Path, cases: Sequence[KitCase]) -> None:
    old = [folder / "open", *(folder_of(folder, case) for case in (*list_cases(), *cases))]
    for path in old:
        if path.is_file() and not path.is_symlink():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    for path in old:
        if path.is_symlink():
            path.unlink()
        elif path.name != "open":
            shutil.rmtree(path, ignore_errors=True)
    for case in cases:
        new = folder_of(folder, case)
        new.parent.mkdir(exist_ok=True)
        folder_of(part, case).rename(new)
    for name in (*shared_files(cases[0]), "cases.json"):
        (part / name).replace(folder / name)
    shutil.rmtree(part)


def folder_of(kit: Path, case: KitCase) -> Path:
    """Return the folder of a case."""
    return kit / "open" / case.name if case.is_open else kit / case.name


def describe(case: KitCase) -> dict[str, Any]:
    """Return what `cases.json` says of a case; it has readings if the operator's text leaves it open."""
    return {
        "name": case.name,
        "operator": case.operator,
        "attribute": case.attribute,
        "inputs": list(case.graph_inputs),
        "outputs": list(case.outputs),
        "type": case.dtype,
        "tolerance": TOLERANCES[case.dtype],
        "readings": list(map(str, readings(case))),
    }


@singledispatch
def files_of(case: KitCase) -> dict[str, bytes]:
    """Return the files of a case, by name."""
    answers: tuple[dict[str, Any], ...] = tuple(readings(case).values()) or (compute(case),)
    inputs: dict[str, Any] = {name: case.inputs[name] for name in case.graph_inputs}
    tolerance = TOLERANCES[case.dtype]
    files = {
        "model.onnx": model_of(case, answers[0]),
        "data.json": json.dumps({"rtol": tolerance, "atol": tolerance}).encode(),
        "inputs.npz": pack(inputs),
    }
    for number, outputs in enumerate(answers):
        files["outputs.npz" if not number else f"outputs_{number}.npz"] = pack(outputs)
        data = f"test_data_set_{number}"
        files |= _tensors(f"{data}/input", inputs) | _tensors(f"{data}/output", outputs)
    return files


@singledispatch
def shared_files(case: KitCase) -> dict[str, bytes]:
    """Return the files beside `cases.json` of a kit with this case, by name: of a cell its equations."""
    return {}


def model_path(kit: Path, case: KitCase) -> Path:
    """Return the path of the model of a case; of a cell, of its equations."""
    return next((kit / name for name in shared_files(case)), folder_of(kit, case) / "model.onnx")


def pack(arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of an .npz file."""
    file = BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _tensors(start: str, arrays: Mapping[str, Array]) -> dict[str, bytes]:
    from onnx import numpy_helper

    return {
        f"{start}_{number}.pb": numpy_helper.from_array(array, name).SerializeToString()
        for number, (name, array) in enumerate(arrays.items())
    }


def model_of(case: KitCase, outputs: Mapping[str, Array]) -> bytes:
    """Return the model of a case, as a file has it; outputs: arrays of the shapes that the node returns."""
    from onnx import helper, numpy_helper

    def describe_tensor(name: str, array: Array) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, kind, array.shape)

    node = helper.make_node(
        case.operator,
        _with_gaps(INPUTS, case.inputs),
        _with_gaps(OUTPUTS[case.operator], outputs),
        name=case.name,
        **case.attributes,
    )
    graph = helper.make_graph(
        [node],
        case.name,
        [describe_tensor(name, case.inputs[name]) for name in case.graph_inputs],
        [describe_tensor(name, array) for name, array in outputs.items()],
        [
            numpy_helper.from_array(array, name)
            for name, array in case.inputs.items()
            if name not in case.graph_inputs
        ],
    )
    model = helper.make_model(
        graph,
        producer_name=PRODUCER,
        ir_version=case.ir_version,
        opset_imports=[helper.make_opsetid("", case.opset)],
    )
    content: bytes = model.SerializeToString()
    return content


def _with_gaps(names: tuple[str, ...], present: Iterable[str]) -> list[str]:
    """Return the names of a node's inputs or outputs: "" for a missing tensor, nothing after the last."""
    known = set(present)
    last = max(index for index, name in enumerate(names) if name in known)
    return [name if name in known else "" for name in names[: last + 1]]
