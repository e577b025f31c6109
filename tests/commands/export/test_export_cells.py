"""Scripts of cells of one's own are run by themselves, and print the numbers that rnncli computes."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache, partial
from keyword import kwlist
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import oracle
import own_cells
import pytest
from printed_tensors import STRICT, read_tensors, run_in_process
from test_export_targets import check_tensors, run_together, sizes

from rnncli.cells import activations
from rnncli.cells.tree import FUNCTIONS
from rnncli.commands.export import targets
from rnncli.commands.export.export_case import build_export
from rnncli.commands.export.formulas import FORMULAS
from rnncli.compute import run as compute
from rnncli.layers.case import Case

SAMPLES = own_cells.samples()

HOSTILE = r"""
name = "print"
states = ["hidden", "np", "self", "cell"]
source = "*/ int main(void) { return 9; } /* \"\"\" \u0022\u0022\u0022\n__import__('os')._exit(9)\n??/"
gates = ["main", "input", "W_main"]
[initial]
np = 0.5
[options]
show = "softplus"
__init__ = 0.5
[weights]
keras = { shape = ["units"], initializer = "random_normal" }
double = { shape = ["units", "units"] }
_x = { shape = [1], initializer = "ones" }
run_0 = { shape = ["features", "units"] }
NULL = { shape = ["units"] }
[step]
main = "show(x @ kernel + hidden @ recurrent_kernel + bias + keras)"
input = "tanh(x @ kernel + bias) * __init__"
W_main = "sigmoid(hidden @ recurrent_kernel + x @ run_0 * _x)"
int = "maximum(main, 0.25) + minimum(np, 0.75) * W_main"
print = "mean(int) + NULL"
t1 = "sum(int * print) / 4"
np = "softmax(int + t1) + 0.5 * np @ double"
self = "exp(-abs(self)) * input - np"
cell = "hidden"
hidden = "tanh(hidden @ double + self)"
"""
COLLIDING = """
name = "Colliding"
states = ["hidden"]
[weights]
foo = { shape = ["units"], initializer = "random_normal" }
[step]
a = "x @ kernel + bias + hidden @ recurrent_kernel + recurrent_bias"
recurrent_a = "x @ kernel + bias + hidden @ recurrent_kernel + recurrent_bias"
weight_foo = "a - 0.3 * foo"
b2_a = "recurrent_a * foo"
HUGE_VAL = "b2_a * 2"
L_tmpnam = "HUGE_VAL + 0.1"
hidden = "tanh(weight_foo + L_tmpnam)"
"""
"""Names that a script could give to something else: columns of a bias, a weight outside the step, C."""
CONSTANT = """
name = "Constant"
states = ["hidden", "gain"]
[weights]
level = { shape = ["units"], initializer = "random_normal" }
mix = { shape = ["units", "units"] }
[step]
unused = "(((level ** 2) ** 2) ** 2) ** 2"
base = "exp(0.5) / sum(2) + softmax(3) * mean(0.1)"
gain = "level + base"
far = "(base * level) @ mix"
hidden = "tanh(gain @ mix + far @ mix + (2 * level) @ mix + base * hidden - variance(level))"
"""
NUMBERS = """
name = "Numbers"
states = ["hidden", "gain"]
[weights]
mix = { shape = [1, "units"] }
[step]
one = "1"
half = "0.5"
level = "exp(0.3)"
gain = "half * 3"
hidden = "tanh(x @ kernel + hidden * gain + one @ mix - half @ mix - level @ recurrent_kernel)"
"""
"""A state that is a constant, and constants left of @."""

LAYER = {"return_sequences": True, "return_state": True}


def cell(text: str, **options: Any) -> dict[str, Any]:
    return {"class_name": "Own", "config": {"equations": text, "units": 3, **options}}


def layer(of: Any, **options: Any) -> dict[str, Any]:
    return {"class_name": "RNN", "config": {"cell": of, **LAYER, **options}}


def forms(text: str) -> Iterator[tuple[str, list[Any], str]]:
    """Yield layers with a cell, each with a name and a mask."""
    lstm = {"class_name": "LSTMCell", "config": {"units": 2}}
    cells = {"class_name": "StackedRNNCells", "config": {"cells": [cell(text), lstm, cell(text, units=2)]}}
    yield "alone", [layer(cell(text))], ""
    yield "masked", [layer(cell(text, use_bias=False), go_backwards=True)], "any"
    both = {"class_name": "Bidirectional", "config": {"layer": layer(cell(text)), "merge_mode": "mul"}}
    yield "both", [both, layer(cell(text), return_sequences=False)], "any"
    yield "stacked", [layer(cells, zero_output_for_mask=True)], "end"


@cache
def cases() -> dict[str, Case]:
    samples = {path.stem: path.read_text(encoding="utf-8") for path in SAMPLES}
    texts = samples | {"mgu": own_cells.MGU, "nasty": own_cells.NASTY, "hostile": HOSTILE}
    texts |= {"constant": CONSTANT, "colliding": COLLIDING}
    found = {}
    for place, (name, text) in enumerate(texts.items()):
        made = list(forms(text))
        for form, layers, mask in [made[place % len(made)]] if name in samples else made:
            found[f"{name} {form}"] = make_case(layers, mask)
    found["hostile states"] = make_case([layer(cell(HOSTILE))], "any", states=True)
    double = cell(own_cells.NASTY, dtype="float64")
    for dtype in ("float32", "float64"):
        numbers_alone = cell(NUMBERS, units=1, dtype=dtype)
        found[f"numbers {dtype}"] = make_case([layer(numbers_alone, dtype=dtype)], "")
    found["nasty double"] = make_case([layer(double, dtype="float64")], "")
    return found


def make_case(layers: list[Any], mask: str, *, states: bool = False) -> Case:
    rng = np.random.default_rng(len(layers))
    dtype = "float64" if "float64" in str(layers) else "float32"
    inputs = rng.standard_normal((2, 4, 5)).astype(dtype)
    stack = oracle.case(layers, inputs).stack
    shapes = stack.weight_shapes(inputs.shape)
    weights = {
        path: (0.5 * rng.standard_normal(sizes(shape))).astype(dtype) for path, shape in shapes.items()
    }
    given: dict[str, Any] = {}
    if mask:
        steps, ends = np.arange(4), np.array([[4], [2]])
        given["mask"] = steps < ends if mask == "end" else rng.random((2, 4)) < 0.6
    if states:
        infos = stack.states(inputs.shape)
        given["initial_state"] = tuple(rng.standard_normal(sizes(info.shape)).astype(dtype) for info in infos)
    return oracle.case(layers, inputs, weights=weights, **given)


@cache
def scripts_of(target: str) -> Mapping[str, Any]:
    """Return what the target writes for each case that it can express."""
    exports = {name: build_export(case) for name, case in cases().items()}
    module = targets.get(target)
    return {name: module.write([one]) for name, one in exports.items() if module.refusal([one]) is None}


@cache
def tensors_of(name: str) -> dict[str, Any]:
    return {tensor.name: tensor.values for tensor in compute(cases()[name], "numpy").outputs}


@pytest.mark.parametrize("target", ["numpy", "keras", "torch"])
@pytest.mark.slow
def test_every_script_of_python_prints_the_same_numbers(target: str) -> None:
    if target == "torch":
        pytest.importorskip("torch")
    for name, text in run_together(scripts_of(target)).items():
        check_tensors(read_tensors(text), tensors_of(name), name)


@pytest.mark.sampled
@pytest.mark.parametrize("name", list(cases()))
def test_every_program_in_c_prints_the_same_numbers(name: str, tmp_path: Path) -> None:
    check_tensors(read_tensors(run_in_process(scripts_of("c")[name], "c", tmp_path)), tensors_of(name), name)


@pytest.mark.parametrize("target", ["keras", "numpy", "c", "torch"])
def test_targets_express_these_cases(target: str) -> None:
    assert set(scripts_of(target)) == set(cases())


@pytest.mark.slow
def test_every_activation_of_pytorch_has_keras_numbers() -> None:
    pytest.importorskip("torch")
    values = np.linspace(-30, 30, 121).reshape(1, -1, 1)
    made = {}
    for name in {*FORMULAS, "softmax", "log_softmax"} & set(activations.names()):
        dense = f"Dense(1, activation={name!r}, use_bias=False, dtype='float64')"
        made[name] = oracle.case([dense], values, weights={"kernel": np.ones((1, 1))})
    scripts = {name: targets.get("torch").write([build_export(case)]) for name, case in made.items()}
    assert len(scripts) == len(activations.names()) - 1  # sparsemax
    for name, text in run_together(scripts).items():
        expected = compute(made[name], "numpy").outputs[0].values
        # PyTorch has 0.2 and the square root of 2 in float64, where TensorFlow has them in float32.
        oracle.check_close(read_tensors(text)["output"], expected, 1e-8, name)


def test_onnx_refuses_a_cell_by_its_name(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(own_cells.MGU, encoding="utf-8")
    said = rnncli(
        "export", "-l", f"@{tmp_path}/a.toml", "--to", "onnx", "-o", str(tmp_path / "a.onnx")
    ).refusal()
    assert "it has no node for @MGU" in said
    assert "Use one of c, cell, config, keras, latex, numpy, torch" in said


@pytest.mark.parametrize("target", ["numpy", "keras", "torch", "c"])
def test_no_name_and_no_source_of_a_file_is_code(target: str) -> None:
    assert all(" " <= char <= "~" or char == "\n" for char in scripts_of(target)["hostile alone"])


def test_c_has_no_helper_for_a_name_in_a_comment(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("""name = "softmax"
states = ["hidden"]
[step]
asm = "tanh(x @ kernel + hidden @ recurrent_kernel)"
nullptr = "asm * 2"
hidden = "nullptr + 1"
""")
    done = rnncli("export", "-l", f"@{tmp_path}/a.toml", "--seed", "1", "--to", "c", "--quiet")
    assert read_tensors(run_in_process(done.stdout, "c", tmp_path))["hidden_state"].shape == (1, 3)
    assert not {"asm[3]", "nullptr[3]"} & {*done.stdout.split()}


HEADERS = "#include <stdio.h>\n#include <string.h>\n#include <tgmath.h>\n"


@pytest.mark.skipif(which("gcc") is None, reason="there is no gcc")
@pytest.mark.parametrize("standard", ["c99", "gnu17"])
@pytest.mark.slow
def test_no_line_of_a_cell_meets_a_name_of_c(standard: str, tmp_path: Path) -> None:
    """Every name in the headers of a program is a line, and every activation is computed among them."""
    (tmp_path / "a.h").write_text(HEADERS)
    gcc = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=True)
    declared, macros = (gcc(["gcc", f"-std={standard}", "-E", *more, "a.h"]).stdout for more in ([], ["-dM"]))
    code = "".join(line for line in declared.splitlines() if not line.startswith("#"))
    known = {*re.findall(r"[A-Za-z]\w*", code), *re.findall(r"#define ([A-Za-z]\w*)", macros), "tanhf32"}
    assert {"tanhf", "ctanhl", "L_tmpnam", "NAN", "printf"} <= known
    names = sorted(known - {*FUNCTIONS, *activations.names(), *kwlist, "x", "units", "features"})
    calls = [f"{name}(0.1 * x @ kernel)" for name in sorted({*FORMULAS, "softmax"} & {*activations.names()})]
    calls += ["exp(x) @ kernel", "log(1 + x ** 2) @ kernel", "sqrt(abs(x)) @ kernel"]
    cells = []
    for start in range(0, len(names), 100):
        part = ["hidden", *names[start : start + 100]]
        called = (f"{calls[index % len(calls)]} + 0.5 * {part[index]}" for index in range(len(part) - 1))
        lines = "".join(f'{name} = "{line}"\n' for name, line in zip(part[1:], called, strict=True))
        head = 'name = "Names"\nstates = ["hidden"]\n[step]\n'
        cells.append(layer(cell(f'{head}{lines}hidden = "tanh({part[-1]})"\n')))
    case = make_case(cells, "")
    (tmp_path / "a.c").write_text(targets.get("c").write([build_export(case)]), encoding="utf-8")
    gcc(["gcc", f"-std={standard}", *STRICT[1:], "a.c", "-o", "a", "-lm"])
    expected = {tensor.name: tensor.values for tensor in compute(case, "numpy").outputs}
    check_tensors(read_tensors(gcc([tmp_path / "a"]).stdout), expected, standard)
