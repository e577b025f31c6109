"""Stacks: what a layer passes on, what cells are called, and work that is done once, linear in the depth."""

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from command import Run
from printed_tensors import run_script

import rnncli as package
from rnncli import compute, specs
from rnncli.commands.run import RunAnswer
from rnncli.commands.shape import outline
from rnncli.compute import trace as tracing
from rnncli.layers import shape_checks
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.show.page import View
from rnncli.values import Spec

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
STACKS = (
    ["LSTM(4, return_state=True)", "Dense(1)"],
    ["LSTM(4, return_sequences=True, return_state=True)", "LSTM(2, return_state=True)"],
    ["Bidirectional(GRU(2, return_sequences=True, return_state=True))", "Dropout(0.5)", "GRU(2)"],
)
REFUSES = "Keras's Sequential refuses this stack: it passes the states of layer 0"
MADE = ("--input-shape", "1,4,3")


@pytest.mark.slow
@pytest.mark.parametrize("layers", STACKS)
def test_the_layer_above_gets_what_it_gets_in_a_functional_model(layers: list[str]) -> None:
    result = package.run(X, layers, seed=1, check=True)
    keras.utils.set_random_seed(1)
    first, *above = oracle.make_layers(*layers)
    given = keras.Input((4, 3))
    x = first(given)[0]
    for layer in above:
        x = layer(x)
    theirs = keras.tree.flatten(keras.Model(given, x)(X))
    for output, values in zip(result.outputs, theirs, strict=True):
        np.testing.assert_allclose(output.values, values, rtol=0, atol=1e-6)
    with pytest.raises((ValueError, TypeError)):
        keras.Sequential(oracle.make_layers(*layers))(X)
    assert [text for text in result.remarks if str(text).startswith(REFUSES)]
    assert "check: compared with a functional model of these layers in Keras" in result.remarks


@pytest.mark.parametrize("layers", [
    ["LSTM(4, return_sequences=True)", "LSTM(2, return_state=True)"],
    ["LSTM(4, return_state=True)"],
    ["LSTM(4, return_state=True)", "Dropout(0.5)"],  # Sequential takes this one
])  # fmt: skip
def test_a_stack_that_sequential_takes_has_no_note(layers: list[str]) -> None:
    assert not [text for text in package.run(X, layers).remarks if "Sequential" in str(text)]


@pytest.mark.parametrize(
    "command",
    ["run", "shape", "trace", "compare --engines numpy,torch", "explain hidden_state[0,0]", "gradients"],
)
def test_commands_say_that_sequential_refuses_it(command: str, rnncli: Run) -> None:
    done = rnncli(*command.split(), *MADE, "-l", STACKS[1][0], "-l", "LSTM(2)").success()
    assert f"{REFUSES} (LSTM) on to LSTM; here LSTM gets only the output" in done.stderr


FLAGS: list[tuple[tuple[Any, ...], dict[str, Any], list[str]]] = [
    (("lstm", "gru"), {}, ["LSTM(3, return_sequences=True)", "GRU(3, return_state=True)"]),
    (("LSTM(3)", "GRU(3)"), {}, ["LSTM(3)", "GRU(3, return_state=True)"]),
    (
        ("lstm", "gru"),
        {"all_layers": True},
        ["LSTM(3, return_sequences=True, return_state=True)", "GRU(3, return_state=True)"],
    ),
    (("LSTM(3)", "Dense(1)"), {"all_layers": True}, ["LSTM(3, return_state=True)", "Dense(1)"]),
]


@pytest.mark.parametrize(("layers", "options", "expected"), FLAGS)
def test_the_flag_is_for_the_last_layer(layers: Any, options: Any, expected: list[str]) -> None:
    flags = {"return_state": True}
    assert list(map(specs.describe, specs.from_flags(layers, flags, **options))) == expected
    configs = list(specs.from_flags([], flags, list(layers), **options))
    assert configs == [specs.build(text) for text in expected]


def test_all_layers_makes_the_flag_one_for_every_layer(rnncli: Run) -> None:
    words = ["-l", "lstm", "-l", "gru", "--return-state", "-f", "json", "--quiet"]
    for command in ("run", "shape"):
        for more, count in (([], 2), (["--all-layers"], 5)):
            assert len(rnncli(command, *MADE, *words, *more).answer()["outputs"]) == count
    options: Any = {"return_state": True}
    assert len(package.run(X, ["lstm", "gru"], **options)) == 2
    assert len(package.run(X, ["lstm", "gru"], all_layers=True, **options)) == 5


def test_a_last_layer_without_a_state_refuses_the_flag(rnncli: Run) -> None:
    said = rnncli("run", *MADE, "-l", "lstm", "-l", "Dense(1)", "--return-state").refusal()
    assert "--return-state is for the last layer, and Dense has no state." in said
    rnncli("run", *MADE, "-l", "LSTM(3, return_state=True)", "-l", "Dense(1)").success()  # as it advises
    rnncli("run", *MADE, "-l", "lstm", "-l", "Dense(1)", "--return-state", "--all-layers").success()


def test_a_script_calls_the_layers_one_by_one(rnncli: Run, tmp_path: Path) -> None:
    words = [*MADE, "--seed", "1", "-l", STACKS[0][0], "-l", STACKS[0][1]]
    script = tmp_path / "script.py"
    script.write_text(rnncli("export", "--to", "keras", *words).success().stdout)
    *_, last = run_script(script).values()
    expected = rnncli("run", *words, "-f", "json").answer()["outputs"][0]["values"]
    np.testing.assert_allclose(last, expected, rtol=1e-5)


STACK = [
    "-l", "RNN([LSTMCell(3), GRUCell(2)], return_sequences=True)",
    "-l", "RNN([GRUCell(2), LSTMCell(4)], return_state=True)", "--seed", "1", "--quiet",
]  # fmt: skip


def test_names_of_cells_and_of_layers_do_not_collide(rnncli: Run) -> None:
    outputs = rnncli("run", "--all-layers", "-f", "json", *STACK).answer()["outputs"]
    assert [tensor["name"] for tensor in outputs] == [
        "0/hidden_states", "1/hidden_state", "1/cell_0/last_hidden_state", "1/cell_1/last_hidden_state",
        "1/cell_1/last_cell_state",
    ]  # fmt: skip
    assert outputs[2]["meaning"] == "layer 1, cell 0: hidden state of the last time step"


def test_a_cell_below_is_explained(rnncli: Run) -> None:
    text = rnncli("explain", "0/cell_0/last_hidden_state[0,2]", *STACK).success().stdout
    assert text.startswith("0/cell_0/last_hidden_state[0, 2] = -0.1149\n")
    assert "layer 0, cell 0" in text.splitlines()[1]
    said = rnncli("explain", "0/last_hidden_state[0,2]", *STACK).refusal()
    assert "Did you mean 0/cell_1/last_hidden_state?" in said


def test_a_trace_names_the_cells(rnncli: Run) -> None:
    step = rnncli("trace", "-f", "json", *STACK).answer()["trace"][0]
    assert [name for name in step["gates"] if "candidate" in name] == ["cell_0/candidate", "cell_1/candidate"]
    assert list(step["state"]) == ["cell_0/hidden", "cell_0/cell", "cell_1/hidden"]


WEIGHTS = {"kernel": np.ones((2, 12)), "recurrent_kernel": np.ones((3, 12)), "bias": np.ones(12)}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    calls: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return original(*args, **options)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in (
        (shape_checks, "check_weights"), (shape_checks, "check_states"), (compute, "require_mask"),
    ):  # fmt: skip
        count(owner, name)
    return calls


@pytest.mark.parametrize("memory", [None, 5_000])
def test_a_case_is_checked_once(counts: Counter[str], memory: int | None) -> None:
    states = [np.ones((40, 3)), np.ones((40, 3))]
    package.run(
        np.ones((40, 4, 2)), "LSTM(3)", weights=WEIGHTS, initial_state=states, mask=np.ones((40, 4), bool),
        memory=memory,
    )  # fmt: skip
    assert counts == {"check_weights": 1, "check_states": 1, "require_mask": 1}


ONE = np.ones((1, 2, 1), np.float32)
LAYER = "SimpleRNN(1, return_sequences=True, recurrent_initializer='zeros', kernel_initializer='zeros')"
TRAINED = LAYER.replace(")", ", dropout=0.5)")


def run(layers: tuple[Spec, ...], training: bool = False) -> None:
    case = Case(Stack(layers), ONE, seed=1, training=training, all_layers=True)
    RunAnswer(compute.run(case, "numpy")).page(View())


def calls(work: Callable[[], object]) -> int:
    """How many functions were called, those of C among them: the same at every run."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile).total_calls  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("work", [
    lambda depth: run(specs.from_flags([LAYER] * depth, {})),
    lambda depth: run(specs.from_flags([TRAINED] * depth, {}), training=True),
    lambda depth: outline(specs.from_flags([LAYER] * depth, {}), ONE.shape),
    lambda depth: specs.from_flags([LAYER] * depth, {"return_state": True}),
    lambda depth: tracing.trace(Case(specs.from_flags([LAYER] * depth, {}), ONE)),
], ids=["run", "training", "shape", "flags", "trace"])  # fmt: skip
@pytest.mark.slow
def test_four_times_the_layers_take_four_times_the_work(work: Callable[[int], object]) -> None:
    work(2)
    small, large = calls(lambda: work(50)), calls(lambda: work(200))
    assert large < 4.4 * small
