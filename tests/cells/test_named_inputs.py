"""Cells whose `[inputs]` take the place of `x`: a kernel that takes query, key, value, gate and beta."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

import rnncli

KERNEL = """\
name = "GatedDeltaRule"
states = ["hidden", "memory"]
[sizes]
heads = 2
keys = 3
values = "units / heads"
[shapes]
memory = ["heads", "keys", "values"]
[inputs]
query = ["heads", "keys"]
key = ["heads", "keys"]
value = ["heads", "values"]
gate = ["heads"]
beta = ["heads"]
[step]
decayed = "exp(gate) * memory"
memory = "decayed + outer(key, beta * (value - key @ decayed))"
hidden = "join(query / sqrt(keys) @ memory)"
"""
UNITS, BATCH, TIMESTEPS = 8, 2, 5
AXES = {"query": (2, 3), "key": (2, 3), "value": (2, 4), "gate": (2,), "beta": (2,)}
LENGTHS = (3, 5)
Arrays = dict[str, np.ndarray]


@pytest.fixture
def kernel(here: Path) -> Path:
    (here / "kernel.toml").write_text(KERNEL)
    return here


def arrays() -> Arrays:
    rng = np.random.default_rng(3)
    drawn = {name: rng.standard_normal((BATCH, TIMESTEPS, *axes)) for name, axes in AXES.items()}
    return {**drawn, "gate": -np.abs(drawn["gate"]), "beta": 1 / (1 + np.exp(-drawn["beta"]))}


def side_by_side(given: Arrays) -> np.ndarray:
    return np.concatenate([given[name].reshape(BATCH, TIMESTEPS, -1) for name in AXES], axis=-1)


def gated_delta_rule(given: Arrays, lengths: tuple[int, ...] = (TIMESTEPS,) * BATCH) -> Any:
    """Written apart from the cell: a loop over heads, with the memory as (values, keys)."""
    outputs, memories = np.zeros((BATCH, TIMESTEPS, 2, 4)), np.zeros((BATCH, 2, 4, 3))
    for row in range(BATCH):
        for step in range(TIMESTEPS):
            for head in range(2):
                q, k, v, g, b = (given[name][row, step, head] for name in AXES)
                if step < lengths[row]:
                    kept = np.exp(g) * memories[row, head]
                    memories[row, head] = kept @ (np.eye(3) - b * np.outer(k, k)) + b * np.outer(v, k)
                    outputs[row, step, head] = memories[row, head] @ q / np.sqrt(3)
                else:
                    outputs[row, step, head] = outputs[row, step - 1, head]
    return outputs.reshape(BATCH, TIMESTEPS, UNITS), memories.swapaxes(-1, -2)


LOOP: dict[str, Any] = {"return_sequences": True, "return_state": True, "dtype": "float64"}


def compute(x: Any, **given: Any) -> tuple[np.ndarray, np.ndarray]:
    result = rnncli.run(x, f"@kernel.toml({UNITS})", **LOOP, **given)
    return result["hidden_states"], result["last_memory_state"]


def write(folder: Path) -> dict[str, Any]:
    """Return the same input in every form."""
    named, nested = arrays(), {name: array.tolist() for name, array in arrays().items()}
    np.savez(folder / "named.npz", **dict(reversed(named.items())))  # type: ignore[arg-type]
    np.savez(folder / "whole.npz", inputs=side_by_side(named), other=np.ones(3))
    (folder / "named.json").write_text(json.dumps({"inputs": nested}))
    (folder / "named.ndjson").write_text(json.dumps({"inputs": nested}))
    files = {name: folder / name for name in ("named.npz", "whole.npz", "named.json", "named.ndjson")}
    loaded = dict(np.load(folder / "named.npz"))
    return {**files, "a dict": named, "a case": {"inputs": named}, "lists": nested, "loaded": loaded}


@pytest.mark.slow
def test_every_form_of_the_input_gives_the_same_bits(kernel: Path) -> None:
    outputs, memory = compute(side_by_side(arrays()))
    wanted = gated_delta_rule(arrays())
    np.testing.assert_allclose(outputs, wanted[0], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(memory, wanted[1], rtol=1e-12, atol=1e-13)
    for name, form in write(kernel).items():
        again = compute(form)
        np.testing.assert_array_equal(again[0], outputs, err_msg=name)
        np.testing.assert_array_equal(again[1], memory, err_msg=name)


def test_masks_and_sequences_of_different_lengths(kernel: Path) -> None:
    outputs, memory = gated_delta_rule(arrays(), LENGTHS)
    mask = np.arange(TIMESTEPS) < np.array(LENGTHS)[:, None]
    ragged = {name: [array[0, : LENGTHS[0]], array[1]] for name, array in arrays().items()}
    lists = {name: [row.tolist() for row in rows] for name, rows in ragged.items()}
    (kernel / "ragged.json").write_text(json.dumps({"inputs": lists}))
    np.savez(kernel / "masked.npz", mask=mask, **arrays())  # type: ignore[arg-type]
    forms: list[tuple[Any, dict[str, Any]]] = [
        (arrays(), {"lengths": LENGTHS}), (arrays(), {"mask": mask}), (ragged, {"pad": "post"}),
        ({**arrays(), "mask": mask}, {}), (kernel / "masked.npz", {}),
        (kernel / "ragged.json", {"pad": "post"}),
    ]  # fmt: skip
    for form, given in forms:
        ours = compute(form, **given)
        np.testing.assert_allclose(ours[0], outputs, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(ours[1], memory, rtol=1e-12, atol=1e-13)


def test_one_sequence_needs_no_batch_axis(kernel: Path) -> None:
    result = rnncli.run({name: array[1] for name, array in arrays().items()}, "@kernel.toml(8)", **LOOP)
    np.testing.assert_array_equal(result["hidden_states"], compute(arrays())[0][1:])
    assert any("added a batch axis" in str(remark) for remark in result.remarks)


@pytest.mark.parametrize(
    "layer", ["Bidirectional(@kernel.toml(8))", "RNN([@kernel.toml(8), LSTMCell(2)])", "RNN(@kernel.toml(8))"]
)
def test_layers_around_the_cell(layer: str, kernel: Path) -> None:
    forms = write(kernel)
    ours, whole = (rnncli.run(forms[form], layer, seed=1) for form in ("a dict", "whole.npz"))
    np.testing.assert_array_equal(ours.outputs[0].values, whole.outputs[0].values)


@pytest.mark.slow
def test_what_reads_an_input_reads_it_by_name(kernel: Path, rnncli: Run) -> None:
    """The layer may stand in the document; a stream has an object on each line; all give the same numbers."""
    write(kernel)
    layer = ["-l", "@kernel.toml(8)", "--quiet"]
    document = json.loads((kernel / "named.json").read_text()) | {"layer": "@kernel.toml(8)"}
    (kernel / "case.json").write_text(json.dumps(document))
    for command in (
        ["run", "--seed", "1"], ["trace", "--seed", "1"], ["shape"],
        ["trace", "--state", "memory", "--seed", "1"],
    ):  # fmt: skip
        words = [*command, "-f", "json"]
        whole = rnncli(*words, "whole.npz", *layer, cwd=kernel).success()
        for given in (["named.npz", *layer], ["named.json", *layer], ["case.json", "--quiet"]):
            assert rnncli(*words, *given, cwd=kernel).stdout == whole.stdout, (command, given)
    lines = [{"inputs": {name: array[row].tolist() for name, array in arrays().items()}} for row in (0, 1)]
    (kernel / "lines.ndjson").write_text("\n".join(map(json.dumps, lines)))
    streamed = rnncli("run", "lines.ndjson", "--stream", "-f", "ndjson", "--seed", "1", *layer, cwd=kernel)
    rows = [json.loads(line)["outputs"][0]["values"] for line in streamed.stdout.splitlines()]
    whole = rnncli("run", "whole.npz", "-f", "json", "--seed", "1", *layer, cwd=kernel)
    assert [row for (row,) in rows] == json.loads(whole.stdout)["outputs"][0]["values"]


@pytest.mark.slow
def test_keras_computes_the_same(kernel: Path, rnncli: Run) -> None:
    write(kernel)
    rnncli("run", "named.npz", "-l", "@kernel.toml(8)", "--return-state", "--check", cwd=kernel).success()


@pytest.mark.parametrize(("change", "said"), [
    ({"key": arrays()["value"]},
     "inputs: key is (2, 5, 2, 4), but it must be (batch, timesteps, heads, keys).\n"
     "Here heads = 2, keys = 3."),
    ({"key": arrays()["key"][0]}, "inputs: query is (2, 5, 2, 3), but key is (5, 2, 3)."),
    ({"beta": arrays()["beta"][:, :4]}, "inputs: query is (2, 5, 2, 3), but beta is (2, 4, 2)."),
    ({"kye": arrays()["key"]}, "inputs: the layer has no input kye.\nDid you mean key?"),
    ({"key": None}, "inputs: the input key is missing.\nGive query, key, value, gate, beta."),
    ({"key": []}, "key: it is empty, with shape (0,)."),
])  # fmt: skip
def test_arrays_that_do_not_fit_are_named(change: dict[str, Any], said: str, kernel: Path) -> None:
    given = {name: array for name, array in (arrays() | change).items() if array is not None}
    with pytest.raises(rnncli.RnncliError) as error:
        compute(given)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(("words", "said"), [
    (["-l", "LSTM(4)"], "named.npz: it contains beta (2, 5, 2), gate (2, 5, 2), value (2, 5, 2, 4)"),
    (["-l", "LSTM(24)", "-l", "@kernel.toml(8)"],
     "layer 1 (@GatedDeltaRule) takes query, key, value, gate, beta by name, so it must be the first"),
    (["-l", "RNN([LSTMCell(24), @kernel.toml(8)])"], "so it must be the first cell."),
    (["-l", "@kernel.toml(8)", "--window", "2"], "the input is several arrays."),
    (["-l", "@kernel.toml(16)"], "value is (2, 5, 2, 4), but it must be (batch, timesteps, heads,"),
])  # fmt: skip
def test_layers_that_do_not_take_them(words: list[str], said: str, kernel: Path, rnncli: Run) -> None:
    write(kernel)
    assert said in rnncli("run", "named.npz", *words, cwd=kernel).refusal()


@pytest.mark.parametrize(("old", "new", "said"), [
    ("exp(gate)", "exp(x)", "there is no name x.\n"),
    ("decayed = ", "gate = ", "gate is already a part of the input."),
    ("keys = 3", 'keys = "features"', "there is no size features above"),
    ('gate = ["heads"]', 'gate = ["features"]', "there is no axis features"),
    ('gate = ["heads"]', 'gate = "heads"', "gate needs a list of at most 8 axes."),
])  # fmt: skip
def test_files_with_names_that_do_not_fit(old: str, new: str, said: str, kernel: Path, rnncli: Run) -> None:
    (kernel / "wrong.toml").write_text(KERNEL.replace(old, new))
    assert said in rnncli("run", "--input-shape", "2,3,24", "-l", "@wrong.toml(8)", cwd=kernel).refusal()


def test_another_number_of_features(kernel: Path, rnncli: Run) -> None:
    """The advice of the error works when it is followed."""
    said = rnncli("run", "-l", "@kernel.toml(8)", cwd=kernel).refusal()
    assert "query (6), key (6), value (8), gate (2), beta (2) have 24 numbers together." in said
    assert "--input-shape 1,4,24" in said
    assert rnncli("run", "-l", "@kernel.toml(8)", "--input-shape", "1,4,24", cwd=kernel).returncode == 0


@pytest.mark.slow
def test_gradients_by_the_input_s_name(kernel: Path) -> None:
    """A curve for each name, against central differences of the loop; numpy and tensorflow agree."""
    given = arrays()
    found: Any = rnncli.gradients(given, "@kernel.toml(8)", of="hidden_states[1,3,5]", **LOOP).document()
    curves = found["layers"][0]["curves"]
    assert [(curve["part"], curve.get("input")) for curve in curves[2:]] == [("input", name) for name in AXES]
    for name, curve in zip(AXES, curves[2:], strict=True):
        norms = np.zeros(TIMESTEPS)
        for index in np.ndindex(*given[name].shape[1:]):
            near = []
            for step in (1e-5, -1e-5):
                moved = {key: values.copy() for key, values in given.items()}
                moved[name][(1, *index)] += step
                near.append(gated_delta_rule(moved)[0][1, 3, 5])
            norms[index[0]] += ((near[0] - near[1]) / 2e-5) ** 2
        np.testing.assert_allclose(curve["norms"], np.sqrt(norms), rtol=1e-7, atol=1e-9)
        assert (curve["norms"][2] > 0) == (name != "query"), name
    whole = rnncli.gradients(given, "@kernel.toml(8)", dtype="float64", whole=True)
    assert [*whole.tensors()] == [*AXES]
    table = str(whole)
    assert all(name in table for name in AXES)


@pytest.mark.slow
def test_the_tape_gives_the_same_gradients_by_name(kernel: Path) -> None:
    given = {"of": "last_memory_state[1,1,2,3]", **LOOP}
    ours, theirs = (
        rnncli.gradients(arrays(), "@kernel.toml(8)", engine=name, **given).tensors()
        for name in ("numpy", "tensorflow")
    )
    assert [*ours] == [*theirs] == ["forward/hidden", "forward/memory", *(f"forward/{name}" for name in AXES)]
    for name, norms in theirs.items():
        np.testing.assert_allclose(ours[name], norms, rtol=1e-5, atol=1e-7)
