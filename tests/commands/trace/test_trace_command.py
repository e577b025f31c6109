"""`rnncli trace`, `--stats` and `--fail-on-nan`, as they are typed."""

import json
from typing import Any

import pytest

BOTH_WAYS = ("--layer", "bilstm", "--seed", "1", "--quiet")
ODD = '[[[1, 2], ["NaN", 4], [5, 1]]]'


def test_flags_narrow_a_trace(rnncli: Any) -> None:
    flags = ["--step", "-1", "--step", "0", "--unit", "-1", "--batch", "0"]
    flags += ["--gate", "forget", "--gate", "input", "-f", "json"]
    steps = json.loads(rnncli("trace", "--seed", "1", "--quiet", *flags).stdout)["trace"]
    assert [step["timestep"] for step in steps] == [0, 3]
    assert [list(step["gates"]) for step in steps] == [["input", "forget"]] * 2
    assert steps[0]["units"] == [2]
    assert steps[0]["batch"] == [0]


@pytest.mark.slow
def test_a_check_compares_outputs_and_states_with_keras(rnncli: Any) -> None:
    done = rnncli("trace", "--layer", "lstm", "--seed", "1", "--quiet", "--check").success()
    assert "largest difference from TensorFlow: hidden_state " in done.stdout
    assert "last_cell_state" in done.stdout
    strict = ("--units", "40", "--atol", "0", "--rtol", "0", "-f", "json")
    done = rnncli("trace", "--layer", "lstm", "--seed", "1", "--quiet", "--check", *strict)
    assert set(json.loads(done.stdout)["differences"]) == {
        "hidden_state",
        "last_hidden_state",
        "last_cell_state",
    }
    assert done.returncode == 1
    assert "hidden_state, last_hidden_state, last_cell_state differ from TensorFlow" in done.stderr


def test_stats_of_a_trace_and_of_a_run(rnncli: Any) -> None:
    stats = json.loads(rnncli("trace", *BOTH_WAYS, "--stats", "-f", "json").stdout)["stats"]
    assert stats["backward/forget.activation"]["beyond"] == [0.05, 0.95]
    assert stats["backward/cell"]["saturated"] is None
    done = rnncli("run", *BOTH_WAYS, "--stats", "-f", "json")
    assert json.loads(done.stdout)["outputs"][0]["stats"]["nan"] == 0
    assert "no NaN, no infinities" in rnncli("run", *BOTH_WAYS, "--stats").stdout


def test_stats_of_a_trace_name_saturated_and_dead_units(rnncli: Any) -> None:
    """A unit without input weights is dead; large inputs saturate the other; masked steps do not count."""
    x = [[[-40.0], [40.0], [0.0], [40.0]]]
    weights = {"kernel": [[1, 0] * 4], "recurrent_kernel": [[0] * 8] * 2, "bias": [0] * 8}
    document = {"inputs": x, "layer": "LSTM(2)", "weights": weights}
    flags = ("--stats", "--mask", "[[true, true, true, false]]", "--quiet")
    answer = json.loads(rnncli("trace", json.dumps(document), *flags, "-f", "json").stdout)
    assert answer["saturated_units"] == {
        gate: [pytest.approx(2 / 3), 0.0] for gate in ("input", "forget", "candidate", "output")
    }
    assert answer["dead_units"] == [1]
    text = rnncli("trace", json.dumps(document), *flags).stdout
    assert "input[0] 67%, forget[0] 67%, candidate[0] 67%, output[0] 67%" in text
    assert "dead units (the state is never beyond 1e-6): 1" in text
    kept = json.loads(rnncli("trace", json.dumps(document), *flags, "--unit", "1", "-f", "json").stdout)
    assert (kept["saturated_units"]["forget"], kept["dead_units"]) == ([0.0], [1])


def test_units_of_several_loops_have_their_loop_in_front(rnncli: Any) -> None:
    layer = "Bidirectional(LSTM(2, activation='relu', kernel_initializer='zeros'))"
    done = rnncli("trace", "-l", layer, "--seed", "1", "--stats", "-f", "json", "--quiet")
    answer = json.loads(done.stdout)
    assert answer["dead_units"] == ["forward/0", "forward/1", "backward/0", "backward/1"]
    assert "backward/forget" in answer["saturated_units"]
    assert "forward/candidate" not in answer["saturated_units"]  # relu has no limits
    assert "no unit is dead" in rnncli("trace", *BOTH_WAYS, "--stats").stdout


@pytest.mark.parametrize(("lang", "said"), [("en", "of the finite numbers"), ("ko", "유한한 값만")])
@pytest.mark.parametrize("width", ["40", "100"])
def test_figures_say_that_they_leave_out_what_is_not_finite(
    rnncli: Any, lang: Any, said: Any, width: Any
) -> None:
    flags = ("--seed", "1", "--quiet", "--stats", "--lang", lang, "--width", width)
    text = rnncli("run", '[[[1, "Infinity"]]]', "-l", "simple_rnn", "--activation", "relu", *flags).stdout
    assert said in text
    assert said not in rnncli("run", "[[[1, 2]]]", *flags).stdout


@pytest.mark.parametrize(
    ("command", "place"),
    [("run", "hidden_states[0, 1, 0]"), ("trace", "input.preactivation at timestep 1, batch 0, unit 0")],
)
def test_a_nan_fails_after_it_was_shown(rnncli: Any, command: Any, place: Any) -> None:
    flags = (command, ODD, "--seed", "1", "--quiet", "--return-sequences")
    assert rnncli(*flags).returncode == 0
    assert rnncli(command, "--seed", "1", "--quiet", "--fail-on-nan").returncode == 0
    done = rnncli(*flags, "--fail-on-nan")
    assert done.returncode == 1
    assert place in done.stderr
    assert "NaN" in done.stdout


@pytest.mark.parametrize(
    ("steps", "kept"),
    [("--step 1", [1]), ("--steps 1:3", [1, 2]), ("--steps -2:", [2, 3]), ("--steps :1 --step -1", [0, 3])],
)
def test_steps_are_indices_or_ranges(rnncli: Any, steps: str, kept: list[int]) -> None:
    done = rnncli("trace", "sentence", "--seed", "1", "-f", "json", *steps.split())
    assert [step["timestep"] for step in json.loads(done.stdout)["trace"]] == kept
