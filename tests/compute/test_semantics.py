"""What Keras does that surprises, beyond the products of layers and flags; and where it raises."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim
from command import Run
from part_labels import gate

from rnncli import addresses
from rnncli.errors import EngineError, InputError, LayerError, UsageError
from rnncli.result import evaluate

keras = oracle.keras
RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 5, 2)).astype("float32")
LEADING = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]], bool)
TRAILING = LEADING[:, ::-1].copy()
HOLES = np.array([[1, 0, 1, 1, 0], [1, 1, 0, 0, 1], [0, 1, 0, 1, 1]], bool)
KINDS = ("SimpleRNN", "LSTM", "GRU")
EACH = pytest.mark.parametrize("kind", KINDS)


def check_against_keras(
    expression: str, mask: Any = None, states: Any = None, **rest: Any
) -> dict[str, np.ndarray]:
    """Compare rnncli with Keras; return Keras's tensors under the names of rnncli."""
    layers = oracle.build_layers(oracle.make_layers(expression), X)
    weights = oracle.fill_weights(layers, np.random.default_rng(1))
    theirs = oracle.call_layers(layers, X, mask, states, **rest)[-1]
    ours = oracle.run_case([expression], X, weights=weights, mask=mask, initial_state=states, **rest)
    oracle.check_outputs(ours, theirs)
    return {tensor.name: values for tensor, values in zip(ours.outputs, theirs, strict=True)}


def random_states(count: int, units: int = 3) -> list[np.ndarray]:
    return [np.random.default_rng(count).standard_normal((3, units)).astype("float32") for _ in range(count)]


class TestOrder:
    @pytest.mark.parametrize(
        ("kind", "gates"),
        [("LSTM", ("input", "forget", "candidate", "output")), ("GRU", ("update", "reset", "candidate"))],
    )
    def test_gates_are_packed_in_this_order(self, kind: str, gates: tuple[str, ...]) -> None:
        """A bias of its own for each gate, no other weights: each gate's function of it is in the trace."""
        expression = f"{kind}(1, reset_after=False)" if kind == "GRU" else f"{kind}(1)"
        bias = np.array([0.1, 0.2, 0.3, 0.4][: len(gates)], np.float32)
        weights = {
            "kernel": np.zeros((2, len(gates)), "float32"),
            "recurrent_kernel": np.zeros((1, len(gates)), "float32"),
            "bias": bias,
        }
        layers = oracle.build_layers(oracle.make_layers(expression), X)
        layers[0].set_weights(list(weights.values()))
        result = oracle.run_case([expression], X, weights=weights, with_trace=True)
        oracle.check_outputs(result, oracle.call_layers(layers, X)[-1])
        (loop,) = result.trace
        assert [str(one.short) for one in loop.gates] == list(gates)
        found = [float(loop.parts[gate(name, "preactivation")][0, 0, 0]) for name in gates]
        np.testing.assert_array_equal(np.array(found, np.float32), bias)


class TestTime:
    def test_bidirectional_flips_its_second_half_even_where_that_one_runs_forwards(self) -> None:
        forwards = "GRU(3, return_sequences=True, return_state=True)"
        backwards = forwards.replace("3,", "3, go_backwards=True,")
        found = check_against_keras(f"Bidirectional({backwards}, backward_layer={forwards})")
        first_row = found["hidden_states"][:, 0, 3:]
        np.testing.assert_array_equal(found["backward_last_hidden_state"], first_row)

    def test_bidirectional_of_a_backward_layer_alone_is_refused(self) -> None:
        expression = "Bidirectional(LSTM(3, go_backwards=True))"
        with pytest.raises(ValueError, match="go_backwards"):
            oracle.make_layers(expression)
        with pytest.raises(LayerError, match="same direction"):
            oracle.run_case([expression], X)


class TestMasks:
    @pytest.mark.slow
    @pytest.mark.parametrize("expression", [
        "LSTM(3, return_sequences=True, go_backwards=True, zero_output_for_mask=True, unroll={})",
        "Bidirectional(GRU(3, return_sequences=True, unroll={}))",
    ])  # fmt: skip
    def test_unrolled_backwards_and_zeroed_keras_disagrees_with_itself_rnncli_refuses(
        self, expression: str
    ) -> None:
        found = []
        for unroll in (False, True):
            layers = oracle.build_layers(oracle.make_layers(expression.format(unroll)), X)
            oracle.fill_weights(layers, np.random.default_rng(1))
            found.append(oracle.call_layers(layers, X, LEADING)[-1][0])
        assert abs(found[0] - found[1]).max() > 1e-2
        check_against_keras(expression.format(False), LEADING)
        check_against_keras(expression.format(True))
        for engine in ("numpy", "tensorflow"):
            with pytest.raises(LayerError, match="misapplies a mask"):
                oracle.run_case([expression.format(True)], X, engine, mask=LEADING)
            with pytest.raises(LayerError, match="misapplies a mask"):
                oracle.run_case(["Masking()", expression.format(True)], X, engine)

    def test_a_mask_that_travels_passes_over_a_layer_that_is_given_a_state(self) -> None:
        inputs = np.where(HOLES[..., None], X, 0).astype("float32")
        stack = ["Masking()", "LSTM(3, return_sequences=True)", "GRU(2)"]
        layers = oracle.build_layers(oracle.make_layers(*stack), inputs)
        weights, states = oracle.fill_weights(layers, RNG), random_states(3)
        states[2] = states[2][:, :2]
        theirs = oracle.call_layers(layers, inputs, states=states)
        ours = oracle.run_case(stack, inputs, weights=weights, initial_state=states, all_layers=True)
        oracle.check_outputs(ours, [tensor for tensors in theirs for tensor in tensors])
        passed_over = layers[1](inputs, initial_state=states[:2])
        explicit = layers[1](inputs, initial_state=states[:2], mask=HOLES)
        oracle.check_close(ours.outputs[1].values, passed_over)
        assert abs(passed_over - explicit).numpy().max() > 1e-2

    def test_one_cell_in_a_list_fails_in_keras_with_a_mask_unless_it_is_unrolled(self) -> None:
        with pytest.raises(ValueError, match="nested structure"):
            oracle.call_layers(oracle.make_layers("RNN([GRUCell(3)])"), X, HOLES)
        unrolled = check_against_keras("RNN([GRUCell(3)], unroll=True, return_state=True)", HOLES)
        oracle.check_close(
            check_against_keras("RNN(GRUCell(3), return_state=True)", HOLES)["hidden_state"],
            unrolled["hidden_state"],
        )

    @pytest.mark.slow
    def test_stacked_cells_round_to_float32_so_keras_computes_them_in_float64(self) -> None:
        expression = "RNN([GRUCell(3, dtype='float64'), GRUCell(2, dtype='float64')], dtype='float64')"
        inputs = X.astype("float64")
        layers = oracle.build_layers(oracle.make_layers(expression), inputs)
        weights = oracle.fill_weights(layers, RNG)
        result = oracle.run_case([expression], inputs, "auto", weights=weights)
        assert result.engines == ("tensorflow",)
        oracle.check_outputs(result, oracle.call_layers(layers, inputs)[-1])
        with pytest.raises(UsageError, match="rounds to float32"):
            oracle.run_case([expression], inputs, "numpy", weights=weights)

    def test_a_mask_given_to_masking_is_an_error_in_keras_and_here(self) -> None:
        with pytest.raises(TypeError, match="mask"):
            oracle.make_layers("Masking()")[0](X, mask=HOLES)
        with pytest.raises(InputError, match="computes its own"):
            oracle.run_case(["Masking()", "LSTM(3)"], X, mask=HOLES)

    @pytest.mark.slow
    @pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
    def test_below_dense_a_mask_goes_to_the_first_layer_that_takes_one(self, engine: str) -> None:
        stack = ["Dense(3)", "LSTM(3, return_sequences=True)", "GRU(2)"]
        layers = oracle.build_layers(oracle.make_layers(*stack), X)
        weights = oracle.fill_weights(layers, RNG)
        theirs = [layers[2](layers[1](layers[0](X), mask=HOLES), mask=HOLES).numpy()]
        oracle.check_outputs(oracle.run_case(stack, X, engine, weights=weights, mask=HOLES), theirs)


class TestBias:
    def test_unit_forget_bias_is_one_whatever_the_bias_initializer_says(self) -> None:
        expression = "LSTM(1, bias_initializer=Constant(0.1))"
        expected = np.array([0.1, 1, 0.1, 0.1], np.float32)
        np.testing.assert_array_equal(
            oracle.weights(oracle.build_layers(oracle.make_layers(expression), X))["bias"], expected
        )
        for engine in ("numpy", "tensorflow"):
            np.testing.assert_array_equal(oracle.run_case([expression], X, engine).weights["bias"], expected)


class TestState:
    @EACH
    def test_an_explicit_state_wins_over_the_stored_one_at_every_call(self, kind: str) -> None:
        states = random_states(2 if kind == "LSTM" else 1)
        once, thrice = (
            check_against_keras(f"{kind}(3, stateful=True)", states=states, calls=calls) for calls in (1, 3)
        )
        np.testing.assert_array_equal(once["hidden_state"], thrice["hidden_state"])

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_wrong_number_of_states_is_a_bare_error_in_keras_and_a_sentence_here(self, count: int) -> None:
        expression = "Bidirectional(LSTM(3))"
        with pytest.raises((IndexError, ValueError)):
            oracle.build_layers(oracle.make_layers(expression), X)[0](X, initial_state=random_states(count))
        for engine in ("numpy", "tensorflow"):
            with pytest.raises(InputError, match=f"has {count} states?, but the layer needs 4"):
                oracle.run_case([expression], X, engine, initial_state=random_states(count))

    @pytest.mark.slow
    def test_bidirectional_halves_a_state_so_its_layers_have_to_keep_equally_many(self) -> None:
        expression = "Bidirectional(LSTM(3), backward_layer=GRU(3, go_backwards=True))"
        check_against_keras(expression)
        with pytest.raises(IndexError):
            oracle.build_layers(oracle.make_layers(expression), X)[0](X, initial_state=random_states(3))
        with pytest.raises(LayerError, match="keep 2 and 1"):
            oracle.run_case([expression], X, initial_state=random_states(3))
        check_against_keras(
            "Bidirectional(RNN([LSTMCell(3), GRUCell(3)]), backward_layer=LSTM(3, go_backwards=True))",
            states=random_states(5),
        )

    def test_a_state_of_another_dtype_is_cast(self) -> None:
        states = [state.astype("float64") for state in random_states(2)]
        check_against_keras("LSTM(3, return_state=True)", states=states)

    @pytest.mark.slow
    def test_stateful_bidirectional_with_return_state_fails_in_keras_when_it_makes_its_mask(self) -> None:
        expression = "Bidirectional(GRU(3, stateful=True, return_state=True))"
        layers = oracle.make_layers(expression)
        with pytest.raises(TypeError, match="generator"):
            layers[0](X)
        with pytest.raises(EngineError, match="generator"):
            oracle.run_case([expression], X, "tensorflow")
        weights = oracle.fill_weights(layers, np.random.default_rng(1))
        layers[0].reset_states()
        result = oracle.run_case([expression], X, weights=weights)
        oracle.check_outputs(result, [tensor.numpy() for tensor in keras.tree.flatten(layers[0].call(X))])


FULL = "return_sequences=True, return_state=True"
CLAIMS: list[tuple[str, Any, dict[str, str]]] = [
    *(
        (f"{kind}(3, {flags})", mask, {"last_hidden_state": equal})
        for kind in KINDS
        for flags, mask, equal in (
            ("return_state=True", None, "hidden_state"),
            (FULL, None, "hidden_states[:, -1, :]"),
            (FULL, TRAILING, "hidden_states[:, -1, :]"),  # a held output keeps the claim, zeroing drops it
            (f"{FULL}, zero_output_for_mask=True", TRAILING, ""),
            (f"{FULL}, zero_output_for_mask=True", LEADING, "hidden_states[:, -1, :]"),
        )
    ),
    *(
        (f"Bidirectional(GRU(3, return_state=True, {flags}), merge_mode={merge!r})", None,
         {"forward_last_hidden_state": forward, "backward_last_hidden_state": backward})
        for flags, merge, forward, backward in (
            ("", "concat", "hidden_state[:, :3]", "hidden_state[:, 3:]"),
            ("return_sequences=True", "concat", "hidden_states[:, -1, :3]", "hidden_states[:, 0, 3:]"),
            ("", None, "forward_hidden_state", "backward_hidden_state"),
            ("return_sequences=True", None, "forward_hidden_states[:, -1, :]",
             "backward_hidden_states[:, 0, :]"),
            ("", "sum", "", ""), ("", "mul", "", ""), ("", "ave", "", ""),
        )
    ),
    *(  # Bidirectional zeroes, so each direction loses its own claim
        (f"Bidirectional(GRU(3, {FULL}))", mask,
         {"forward_last_hidden_state": forward, "backward_last_hidden_state": backward})
        for mask, forward, backward in (
            (TRAILING, "", "hidden_states[:, 0, 3:]"), (LEADING, "hidden_states[:, -1, :3]", ""),
        )
    ),
    ("LSTM(3, return_state=True)", None, {"last_hidden_state": "hidden_state"}),
    ("RNN([LSTMCell(2), GRUCell(3)], return_state=True)", None, {"cell_1/last_hidden_state": "hidden_state"}),
]  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize(("expression", "mask", "equal"), CLAIMS)
def test_a_claim_is_what_is_equal_to_the_last_bit(expression: str, mask: Any, equal: dict[str, str]) -> None:
    """No other tensor has one: no cell state, no lower cell of RNN, no merged output."""
    theirs = {
        addresses.parse_label(name): values for name, values in check_against_keras(expression, mask).items()
    }
    ours = oracle.run_case([expression], X, seed=1, mask=mask)
    found = {tensor.name: ", ".join(map(str, tensor.equals)) for tensor in ours.outputs}
    assert found == {name: equal.get(name, "") for name in found}
    for name, text in equal.items():
        if text:
            whole = theirs[addresses.parse_label(name)]
            np.testing.assert_array_equal(whole, evaluate(claim(text), theirs))


def test_a_wholly_masked_sequence_with_a_state_drops_the_claim() -> None:
    mask = np.zeros((3, 5), bool)
    ours = oracle.run_case(
        ["GRU(3, return_state=True)"], X, seed=1, mask=mask, initial_state=random_states(1)
    )
    assert [tensor.equals for tensor in ours.outputs] == [(), ()]


RUN = ("run", "[[1, 2], [3, 4]]", "--seed", "1")
MASK = ("--mask", "[[true, false]]")
STATEFUL = "Keras cannot compute a stateful Bidirectional with return_state"
LISTED = "Keras cannot compute RNN([{}(2)]) with a mask"
KERAS_RAISES = [
    (("-l", "bilstm(2, stateful=True, return_state=True)"), STATEFUL),
    (("-l", "bilstm", "--stateful", "--return-state", *MASK), STATEFUL),
    (("-l", "RNN([GRUCell(2)])", *MASK), LISTED.format("GRUCell")),
    (("-l", "Masking()", "-l", "RNN([LSTMCell(2)], return_sequences=True)"), LISTED.format("LSTMCell")),
    (("-l", "Bidirectional(RNN([GRUCell(2)]))", *MASK), LISTED.format("GRUCell")),
]
KERAS_ANSWERS = [
    ("-l", "bilstm(2, stateful=True)"),
    ("-l", "bilstm(2, return_state=True)", *MASK),
    ("-l", "RNN([GRUCell(2)])"),
    ("-l", "RNN(GRUCell(2))", *MASK),
    ("-l", "RNN([GRUCell(2)], unroll=True)", *MASK),
    ("-l", "RNN([GRUCell(2), GRUCell(2)])", *MASK),
    ("-l", "Masking()", "-l", "GRU(2)", "-l", "Dense(2)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "message"), KERAS_RAISES, ids=str)
def test_an_answer_beyond_keras_says_so(flags: tuple[str, ...], message: str, rnncli: Run) -> None:
    done = rnncli(*RUN, *flags).success()
    assert f"note: {message}" in done.stderr
    done = rnncli(*RUN, *flags, "--engine", "tensorflow")
    assert done.returncode == 3
    assert done.stderr.count("Keras cannot compute") == 1  # the advice of the error, and no note beside it
    assert "note: Keras cannot compute" not in done.stderr


@pytest.mark.parametrize("flags", KERAS_ANSWERS, ids=str)
def test_where_keras_answers_nothing_is_said(flags: tuple[str, ...], rnncli: Run) -> None:
    assert "Keras cannot compute" not in rnncli(*RUN, *flags, "--check").success().stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"), [KERAS_RAISES[0], (("-l", "RNN([GRUCell(2)])"), LISTED.format("GRUCell"))]
)
def test_a_stream_says_so_once(flags: tuple[str, ...], message: str, rnncli: Run, tmp_path: Path) -> None:
    lines = [json.dumps({"inputs": json.loads(RUN[1]), "mask": [True, False]})] * 3
    file = tmp_path / "lines.ndjson"
    file.write_text("\n".join([RUN[1], *lines]))
    command = ("run", str(file), "--stream", "--seed", "1", *flags)
    done = rnncli(*command)
    assert (done.returncode, done.stderr.count(message)) == (0, 1)
    done = rnncli(*command, "--engine", "tensorflow")
    assert done.returncode == 3
    assert "note: Keras cannot compute" not in done.stderr


DENORMAL = "SimpleRNN(1, kernel_initializer=Constant(1e-39), activation='relu')"
SOFTMAX = "SimpleRNN(3, activation='softmax', return_sequences=True)"
CHECKED = [
    ('[[[0.3, 0], ["-Infinity", 0.1]]]', (SOFTMAX,), None,
     "--check: the softmax of infinity is NaN; TensorFlow returns 0"),
    ("[[[0.3, 0], [1, 0.1]]]", (SOFTMAX,), 0, ""),
    ("[[1, 2], [1e-40, 1e-40]]", ("Masking()", "LSTM(2)"), 1,
     "--check: the input has 2 numbers below 1.2e-38 in size, which TensorFlow flushes to 0"),
    ("[[1, 2], [0, 1]]", ("Masking()", "LSTM(2)"), 0, ""),
    ("[[1, 1]]", (DENORMAL,), 1, "--check: hidden_state has 1 number below"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "layers", "code", "said"), CHECKED)
def test_check_says_which_numbers_tensorflow_treats_otherwise(
    text: str, layers: tuple[str, ...], code: int | None, said: str, rnncli: Run
) -> None:
    flags = [word for layer in layers for word in ("-l", layer)]
    done = rnncli(
        "run", text, *flags, "--seed", "1", "--check", "--atol", "0" if DENORMAL in layers else "1e-6"
    )
    assert code is None or done.returncode == code  # where softmax is NaN depends on the CPU
    assert said in done.stderr
    assert ("note: --check" in done.stderr) == bool(said)


def test_tensorflow_takes_denormals_for_zero() -> None:
    mask = oracle.keras.layers.Masking().compute_mask(np.full((1, 1, 2), 1e-40, np.float32))
    assert not np.asarray(mask).any()
