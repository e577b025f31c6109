"""Whatever a model calls its layers, a name stays text: no script runs it, and no terminal obeys it."""

import ast
import json
import re
import subprocess
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import oracle
import pytest
from command import Run
from hypothesis import example, given
from hypothesis import strategies as st
from printed_tensors import STRICT, read_tensors, run_in_process

from rnncli import compute
from rnncli.commands.export import literals, targets
from rnncli.commands.export.export_case import build_export, join_layers
from rnncli.models import LayerUse
from rnncli.show.visible import visible

PYTHON = ("keras", "numpy", "torch")

PIECES = (
    '"""', "'''", '"', "'", "\\", "\n", "\r", "\r\n", "\0", "\x07", "\x1b[2J", "\x7f", "\x85", "\x9b",
    "\u2028", "\u202e", "\ufeff", "\ud800", "\udcff", "*/", "/*", "//", "*\\\n/", "/\\\n*", "??/", "??/\n",
    "???/", "??'", "#", "import os\n", "os._exit(9)", '";os._exit(9);"', "\\N{", "\\x", "\\u", "%s%n", "{0}",
    "층", "\U0001f600", "BATCH", "softplus(", "decode(", " nan", "forward", "_backward", "_cell_0", "kernel",
    "a", "0", "7", " ",
)  # fmt: skip
HOSTILE = (
    'x""";__import__("os")._exit(9);"""', 'x")\n__import__("os")._exit(9)\n#', "x\r__import__('os')._exit(9)",
    "x\\", '??/");exit(9);/*', "*\\\n/ int main(void) { return 9; } /*", "*???/",
    "*/ int main(void) { return 9; } /*", "\x1b[2J\x07\x9b층\u2028\u202e\0",
)  # fmt: skip

names = st.lists(st.sampled_from(PIECES) | st.text(st.characters(), min_size=1, max_size=3), min_size=1).map(
    "".join
)


def layer_uses(*layers: str, expression: str = "Bidirectional(LSTM(1))") -> list[LayerUse]:
    inputs = np.array([[[1, np.nan], [3, 4]]], np.float32)
    case = oracle.case([expression], inputs, seed=1)
    weights = compute.weights_and_seeds(case, case.stack, "numpy")[0]
    return [LayerUse(name, oracle.case([expression], inputs, weights=weights)) for name in layers]


def write_target(target: str, parts: list[LayerUse]) -> Any:
    options_only = target == "config"
    exports = [build_export(case, own, options_only=options_only) for case, own in join_layers(parts)]
    assert targets.get(target).refusal(exports) is None
    return targets.get(target).write(exports)


def shape_of(script: str) -> list[str]:
    """Return the kinds of all nodes of a script: the same for every name."""
    return [type(node).__name__ for node in ast.walk(ast.parse(script))]


def is_plain(text: str) -> bool:
    return all(" " <= char <= "~" or char == "\n" for char in text)


@pytest.mark.parametrize("target", PYTHON)
@pytest.mark.slow
def test_no_name_is_code_in_python(target: str) -> None:
    expected = shape_of(write_target(target, layer_uses("first", "second")))

    @given(st.lists(names, min_size=2, max_size=2, unique=True))
    def check(layers: list[str]) -> None:
        script = write_target(target, layer_uses(*layers))
        assert is_plain(script)
        assert shape_of(script) == expected

    check()


@pytest.mark.skipif(which("gcc") is None, reason="there is no gcc")
@given(st.lists(names, min_size=4, max_size=4, unique=True))
@pytest.mark.slow
def test_no_name_is_code_in_c(layers: list[str]) -> None:
    script = write_target("c", layer_uses(*layers))
    assert is_plain(script)
    command = ["gcc", *STRICT, "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@example(["\x7f", "\ud800"])
@given(st.lists(names, min_size=2, max_size=2, unique_by=visible))
@pytest.mark.slow
def test_a_name_is_a_name_in_an_onnx_model_and_in_a_config(layers: list[str]) -> None:
    model = pytest.importorskip("onnx").load_from_string(write_target("onnx", layer_uses(*layers)))
    assert [one.name for one in model.graph.output] == [f"{visible(name)}/hidden_state" for name in layers]
    text = write_target("config", layer_uses(*layers))
    assert is_plain(text)
    assert [one["config"]["name"] for one in json.loads(text)] == [name.replace("/", "_") for name in layers]


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_names_that_end_like_a_direction_are_other_names(target: str, tmp_path: Path) -> None:
    layers = ("a", "a_forward", "a_cell_0", "a_cell_0_layer", "a_forward_cell_0")
    parts = layer_uses(*layers, expression="Bidirectional(RNN([GRUCell(1), GRUCell(1)]))")
    found = run_and_read(write_target(target, parts), target, tmp_path)
    assert list(found) == [f"{name}/hidden_state" for name in layers]
    assert len({array.tobytes() for array in found.values()}) == 1


def run_and_read(script: str, target: str, folder: Path) -> dict[str, Any]:
    shown = run_in_process(script, target, folder)
    assert visible(shown, keep="\n") == shown
    return read_tensors(shown)


@pytest.mark.parametrize("target", ["numpy", "c"])
def test_scripts_of_hostile_models_print_the_numbers_of_run(target: str, rnncli: Run, tmp_path: Path) -> None:
    """A .safetensors file can hold any name."""
    rng, header, data = np.random.default_rng(0), {}, b""
    for name in HOSTILE:
        for weight, shape in (
            ("weight_ih", [8, 2]),
            ("weight_hh", [8, 2]),
            ("bias_ih", [8]),
            ("bias_hh", [8]),
        ):
            array = rng.normal(size=shape).astype("<f4").tobytes()
            offsets = [len(data), len(data) + len(array)]
            header[f"{name}.{weight}_l0"] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
            data += array
    head = json.dumps(header).encode()
    file = tmp_path / "m.safetensors"
    file.write_bytes(len(head).to_bytes(8, "little") + head + data)
    text = "[[[1, 2], [3, 4]]]"
    done = rnncli("export", text, "--model", str(file), "--to", target, "--quiet").success()
    result = json.loads(rnncli("run", text, "--model", str(file), "-f", "json").stdout)
    found = run_and_read(done.stdout, target, tmp_path)
    assert list(found) == [visible(one["name"]) for one in result["outputs"]]
    assert len(found) == len(HOSTILE)
    for array, one in zip(found.values(), result["outputs"], strict=True):
        np.testing.assert_allclose(array, one["values"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["???/", "????/", "a?????'", "*/*/", "/*/", "**//"])
def test_a_comment_of_c_has_no_trigraph_and_no_end(name: str) -> None:
    assert re.search(r"\?\?|\*/|/\*", literals.as_comment(name)) is None
