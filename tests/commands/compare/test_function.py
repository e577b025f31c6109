"""A cell beside a function of a user: `compare --with FILE.py:FUNCTION`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import delta_kernels
import numpy as np
import pytest
from command import ROOT, Run

import rnncli as package
from rnncli.errors import UsageError

LAYER = f"@'{ROOT}/samples/cells/gated_deltanet.toml'(16)"
KERNELS = f"{ROOT}/tests/delta_kernels.py"


def compare(rnncli: Run, function: str, *words: str, code: int = 0, layer: str = LAYER) -> Any:
    given = ["--with", f"{KERNELS}:{function}", "--seed", "3", "-f", "json", *words]
    done = rnncli("compare", "-l", layer, *given)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


@pytest.mark.parametrize("function", ["loop", "chunked", pytest.param("wide", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_right_form_agrees(function: str, dtype: str, rnncli: Run) -> None:
    found = compare(rnncli, function, "--dtype", dtype)
    assert found["agree"]
    lengths = [1, 15, 16, 17, 63, 64, 65, 127, 128, 129]
    parts = [cut for n in lengths for cut in ([n], [n // 2, n - n // 2]) if cut[0]]
    assert [run["parts"] for run in found["runs"]] == parts
    for run in found["runs"]:
        assert run.keys() == {"length", "parts", "agrees", "first", "difference"}
        assert run["length"] == sum(run["parts"])
        assert run["agrees"]
        assert run["first"] is None
        assert run["difference"] < (1e-13 if dtype == "float64" else 2e-6)


@pytest.mark.parametrize(("function", "length", "tensor", "step"), [
    ("lost_state", 17, "outputs", 16), ("late_decay", 1, "outputs", 0), ("no_beta", 1, "outputs", 0),
    ("unscaled", 1, "outputs", 0), ("transposed", 1, "memory", None), ("eps_outside", 15, "outputs", 1),
])  # fmt: skip
def test_a_fault_is_found(function: str, length: int, tensor: str, step: int | None, rnncli: Run) -> None:
    found = compare(rnncli, function, "--try-lengths", "1,15,16,17", code=1)
    run = next(run for run in found["runs"] if not run["agrees"])
    assert found["agree"] is False
    assert (run["length"], run["first"]["tensor"], run["first"]["step"]) == (length, tensor, step)
    index = run["first"]["index"]
    assert len(index) == (3 if tensor == "outputs" else 4)
    if step is not None:
        assert index[1] == step


def test_the_state_of_each_half_is_handed_over(rnncli: Run, tmp_path: Path) -> None:
    """A function that ignores its initial state is right whole, and wrong from the second half on."""
    text = f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nimport delta_kernels\n"
    text += "def forgets(inputs, weights, initial_state):\n"
    text += "    return delta_kernels.loop(inputs, weights, None)\n"
    (tmp_path / "own.py").write_text(text)
    words = ["--with", "own.py:forgets", "--try-lengths", "9", "--seed", "3"]
    done = rnncli("compare", "-l", LAYER, *words, "-f", "json", cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(run["parts"], run["agrees"]) for run in found["runs"]] == [([9], True), ([4, 5], False)]
    assert found["runs"][1]["first"]["step"] == 4
    assert "whole sequences agree, halves do not" in found["conclusion"]
    page = rnncli("compare", "-l", LAYER, *words, cwd=tmp_path)
    assert "own.py is code: it runs in a process of its own" in page.stderr
    assert "own.py:forgets differs for 9 time steps (4 + 5): outputs" in page.stderr
    rows = rnncli("compare", "-l", LAYER, *words, "-f", "csv", cwd=tmp_path).stdout.splitlines()
    assert rows[0] == "length,parts,verdict,tensor,step,index,difference"
    assert rows[1].startswith("9,[9],same,,,,")
    assert rows[2].startswith('9,"[4, 5]",differs,outputs,4,')


def test_what_a_function_gets(rnncli: Run, tmp_path: Path) -> None:
    """Arrays by name in the layer's type: inputs, weights, initial states; it may change them."""
    (tmp_path / "own.py").write_text(
        "def look(inputs, weights, initial_state):\n"
        "    kinds = {n: (a.shape, a.dtype.name) for n, a in {**inputs, **weights}.items()}\n"
        "    kinds |= {n: a.shape for n, a in (initial_state or {}).items()}\n"
        "    inputs['x'][:] = weights['kernel'][:] = 0\n"
        "    raise ValueError(f'first\\n{kinds}')\n"
    )
    np.savez(
        tmp_path / "states.npz", last_hidden_state=np.ones((2, 16)), last_memory_state=np.ones((2, 2, 8, 8))
    )
    words = ["-l", LAYER, "--with", "own.py:look", "--input-shape", "2,5,3", "--dtype", "float64"]
    said = rnncli("compare", *words, cwd=tmp_path).refusal()
    first = "own.py:look: line 5, for 1 time step: ValueError: {'x': ((3, 1, 3), 'float64'), "
    assert said.splitlines()[-2].startswith(f"rnncli: {first}")
    assert "'dt_bias': ((2,), 'float64')" in said
    done = rnncli("compare", *words, "--initial-state", "states.npz", cwd=tmp_path)
    assert "'hidden': (3, 16), 'memory': (3, 2, 8, 8)}" in done.stderr


def test_a_given_input(rnncli: Run, tmp_path: Path) -> None:
    """Its first steps are tried; lengths beyond it are left out, with a note."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((2, 20, 5)))
    words = ["x.npy", "-l", LAYER, "--with", f"{KERNELS}:chunked"]
    done = rnncli("compare", *words, "-f", "json", cwd=tmp_path)
    assert {run["length"] for run in done.answer()["runs"]} == {1, 15, 16, 17, 20}
    assert "left out, because the input has only 20 time steps: 63, 64, 65, 127, 128, 129" in done.stderr
    said = rnncli("compare", *words, "--try-lengths", "21,30", cwd=tmp_path).refusal()
    assert "Give lengths up to 20." in said


def test_a_function_without_states(rnncli: Run) -> None:
    found = compare(rnncli, "without_states", "--try-lengths", "8")
    assert [run["parts"] for run in found["runs"]] == [[8]]


LSTM = """
import numpy as np

def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def lstm(inputs, weights, initial_state):
    x = inputs["x"]
    zeros = np.zeros((len(x), weights["recurrent_kernel"].shape[0]))
    h, c = (zeros, zeros) if initial_state is None else (initial_state["hidden"], initial_state["cell"])
    outputs = []
    for t in range(x.shape[1]):
        sums = x[:, t] @ weights["kernel"] + h @ weights["recurrent_kernel"] + weights["bias"]
        i, f, g, o = np.split(sums, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), {"hidden": h, "cell": c}
"""


def test_a_layer_of_keras(rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(LSTM)
    words = ["-l", "LSTM(5)", "--with", "own.py:lstm", "--input-shape", "2,9,3", "-f", "json"]
    done = rnncli("compare", *words, "--try-lengths", "1,9", cwd=tmp_path)
    assert [run["parts"] for run in done.answer()["runs"]] == [[1], [9], [4, 5]]
    (tmp_path / "own.py").write_text(LSTM.replace('"cell": c}', '"cell": h}'))
    done = rnncli("compare", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["runs"][0]["first"] == {"tensor": "cell", "step": None, "index": [0, 0]}
    assert rnncli("compare", *words, "--atol", "cell=10", "--try-lengths", "1", cwd=tmp_path).returncode == 0
    done = rnncli("compare", *words, "--atol", "sell=10", cwd=tmp_path)
    assert "there is no tensor 'sell'" in done.stderr


PARTS = """
name = "Parts"
states = ["hidden", "memory"]
[sizes]
units = 6
heads = 2
keys = 4
values = "units / heads"
[shapes]
memory = ["heads", "keys", "values"]
[inputs]
query = ["heads", "keys"]
key = ["heads", "keys"]
value = ["heads", "values"]
[step]
memory = "0.9 * memory + outer(key, value)"
hidden = "join(query @ memory)"
"""


def test_inputs_by_name(rnncli: Run, tmp_path: Path) -> None:
    """A kernel that takes queries, keys and values gets them with their axes."""
    (tmp_path / "parts.toml").write_text(PARTS)
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "def linear(inputs, weights, initial_state):\n"
        "    q, k, v = (inputs[name] for name in ('query', 'key', 'value'))\n"
        "    memory = 0 if initial_state is None else initial_state['memory']\n"
        "    outputs = []\n"
        "    for t in range(q.shape[1]):\n"
        "        memory = 0.9 * memory + k[:, t, :, :, None] * v[:, t, :, None]\n"
        "        outputs.append(np.einsum('bhk,bhkv->bhv', q[:, t], memory).reshape(len(q), -1))\n"
        "    return np.stack(outputs, 1), {'memory': memory}\n"
    )
    words = ["-l", "@parts.toml(6)", "--with", "own.py:linear", "--try-lengths", "1,7", "-f", "json"]
    assert rnncli("compare", *words, cwd=tmp_path).answer()["input"]["shape"] == [3, 7, 22]


@pytest.mark.parametrize(("body", "said"), [
    ("return x", "returned outputs of shape (3, 1, 16) instead of (3, 1, 4)"),
    ("return None", "returned outputs as NoneType instead of an array of numbers"),
    ("return x, x", "returned (ndarray, ndarray) instead of outputs, or (outputs, states)"),
    ("return x[..., :4], {'memori': x}", "returned an unknown state 'memori'"),
    ("return x[..., :4], {'memory': x}", "returned memory of shape (3, 1, 16) instead of (3, 2, 2, 2)"),
    ("return ['a']", "instead of"),
    ("return 1 / 0", "line 3, for 1 time step: ZeroDivisionError: division by zero"),
    ("raise ValueError('\\x1b[31m')", "ValueError: \\x1b[31m"),
    ("raise KeyError", "KeyError"),
    ("return (", "line 3: SyntaxError"),
])  # fmt: skip
def test_what_a_function_returns_is_checked(body: str, said: str, rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        f"def own(inputs, weights, initial_state):\n    x = inputs['x']\n    {body}\n"
    )
    layer = LAYER.replace("(16)", "(4)")
    words = ["-l", layer, "--with", "own.py:own", "--input-shape", "2,3,16", "--quiet"]
    done = rnncli("compare", *words, cwd=tmp_path).refusal()
    assert said in done
    assert done.startswith("rnncli: own.py:own")
    assert "\x1b" not in done


@pytest.mark.parametrize(("words", "said"), [
    (["--with", "own.py:other"], "own.py has no function other"),
    (["--with", "none.py:own"], "there is no such file"),
    (["--with", "own.py"], "which function of the file?"),
    (["--with", "own.py:own", "--try-lengths", "0"], "a length is a whole number above 0"),
    (["--with", "own.py:own", "--try-lengths", "a,2"], "a length is a whole number above 0"),
    (["--with", "own.py:own", "--split", "3"], "--split does not apply to a function"),
    (["--with", "own.py:own", "--go-backwards"], "without go_backwards"),
    (["--with", "own.py:own", "--lengths", "1", "--input-shape", "1,2,3"], "without mask"),
    (["--with", "own.py:own", "--bidirectional"], "is for one layer of one direction"),
    (["--with", "own.py:own", "-l", "gru", "--return-sequences"], "one layer"),
    (["--try-lengths", "3"], "--try-lengths needs a function"),
])  # fmt: skip
def test_what_does_not_go_together(words: list[str], said: str, rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def own(inputs, weights, initial_state):\n    return 1\n")
    assert said in rnncli("compare", "-l", LAYER, *words, "--quiet", cwd=tmp_path).refusal()


def test_in_python() -> None:
    """A function, or the name of one in a file; it runs here, or in a process of its own."""
    x = np.random.default_rng(0).standard_normal((2, 20, 5)).astype(np.float32)
    for function in (delta_kernels.chunked, f"{KERNELS}:chunked"):
        result = package.compare(x, LAYER, function, try_lengths=[1, 17], seed=1)
        assert result.agrees
    assert not package.compare(x, LAYER, f"{KERNELS}:lost_state", try_lengths=[17], seed=1)
    with pytest.raises(UsageError, match="unknown state"):
        package.compare(x, LAYER, _of_another_cell, seed=1)


def _of_another_cell(inputs: Any, weights: Any, initial_state: Any) -> Any:
    return np.zeros((*inputs["x"].shape[:2], 16)), {"cell": np.zeros(3)}


@pytest.mark.slow
@pytest.mark.own_process
@pytest.mark.parametrize("body", ["import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"])
def test_a_process_that_ends(body: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(f"def own(inputs, weights, initial_state):\n    {body}\n")
    words = ["compare", "-l", "gru", "--with", "own.py:own", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "rnncli", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "its process ended without an answer" in done.stderr
