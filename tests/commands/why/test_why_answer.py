"""why: what is said of a message, in every form, and what hostile text does."""

import random
import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from limits import processor_time
from looks import SUFFIXES, check_looks, drawn

from rnncli.cli.app import main
from rnncli.commands.why import answer
from rnncli.commands.why.answer import WhyAnswer, attempt, command_of
from rnncli.commands.why.diagnosis import Bilingual, Fix, diagnose, matches, read_causes
from rnncli.commands.why.message import HEAD, TAIL, normalize
from rnncli.errors import DisagreementError, UsageError
from rnncli.show.page import View

SERIES = (
    "ValueError: Input 0 of layer lstm is incompatible with the layer: expected ndim=3, found ndim=2. "
    "Full shape received: (1, 60)"
)

OTHERS = {
    "rank": SERIES,
    "stack": "Input 0 of layer 'lstm_1' is incompatible with the layer: expected ndim=3, found ndim=2. "
    "Full shape received: (None, 4)",
    "images": "Input 0 of layer 'lstm_1' is incompatible with the layer: expected ndim=3, found ndim=4. "
    "Full shape received: (1, 4, 5, 6)",
    "states": """\
IndexError: Exception encountered when calling LSTM.call().

\x1b[1mlist index out of range\x1b[0m

Arguments received by LSTM.call():
  • sequences=tf.Tensor(shape=(1, 4, 5), dtype=float32)
  • initial_state=['tf.Tensor(shape=(1, 3), dtype=float32)']
  • mask=None
  • training=False""",
    "mask": """\
OutOfRangeError: Exception encountered when calling LSTM.call().
Tried to read from index 3 but array size is: 3
Arguments received by LSTM.call():
  • sequences=tf.Tensor(shape=(2, 4, 5), dtype=float32)
  • initial_state=None
  • mask=tf.Tensor(shape=(2, 3), dtype=bool)""",
    "weights": "Layer lstm_44 weight shape (5, 12) is not compatible with provided weight shape (5, 9).",
    "gradient": "An operation has `None` for gradient. Please make sure that all of your ops have one.",
    "unpack": "ValueError: too many values to unpack (expected 2)",
    "torch": "RuntimeError: Expected hidden[0] size (1, 2, 3), got [2, 1, 3]",
}


AS_TEXT = {
    message: cause
    for cause, _, message in (
        line.partition(": ")
        for line in Path(__file__).with_name("older_messages.txt").read_text(encoding="utf-8").splitlines()
    )
}
"""Messages of older versions, and the cause of each."""


def answer_of(text: str) -> WhyAnswer:
    return WhyAnswer.of(diagnose(text))


@pytest.mark.parametrize(("text", "cause"), AS_TEXT.items(), ids=AS_TEXT.values())
def test_older_messages_are_known(text: str, cause: str) -> None:
    assert [match.diagnosis.cause for match in matches(text)] == [cause]
    fixes = diagnose(text).fixes
    assert fixes
    assert all(attempt(fix) for fix in fixes)


@pytest.mark.parametrize("name", OTHERS)
def test_answers_look_as_they_did(name: str) -> None:
    check_looks("why", name, answer_of(OTHERS[name]), SUFFIXES if name == "rank" else ())


def test_unknown_sizes_keep_their_names() -> None:
    first = answer_of(OTHERS["stack"]).document(View())["candidates"][0]
    assert first["expression"] == ["LSTM(4, return_sequences=True)", "LSTM(3)"]
    assert first["input"]["shape"] == ["batch", "timesteps", "features"]
    assert all(isinstance(size, int) for size in first["run"]["shape"])
    assert first["outputs"][0]["shape"] == ["batch", 3]


@pytest.mark.parametrize("text", [*OTHERS.values(), *AS_TEXT])
def test_commands_work(text: str, capfdbinary: Any) -> None:
    for outcome in answer_of(text).outcomes:
        if command := command_of(outcome):
            program, *args = shlex.split(command)
            assert program == "rnncli"
            assert main([*args, "--quiet"]) == 0, command


@pytest.mark.parametrize("width", [40, 80])
def test_a_command_that_is_broken_works_in_a_shell(width: int, capfdbinary: Any) -> None:
    parts = [drawn(answer_of(text), width=width).partition("try it:") for text in OTHERS.values()]
    commands = [shown for _, words, shown in parts if words]
    assert any("\\\n" in command for command in commands)
    for command in commands:
        program, *args = shlex.split(command.replace("\\\n", ""))
        assert program == "rnncli"
        assert main([*args, "--quiet"]) == 0, command


NOTEBOOK = """\
---------------------------------------------------------------------------
ValueError                                Traceback (most recent call last)
Cell In[3], line 2
      1 x = numpy.ones((1, 60))
----> 2 model.fit(x, y)

File /venv/lib/python3.11/site-packages/keras/src/utils/traceback_utils.py:122, in error_handler(*args)
    119     filtered_tb = _process_traceback_frames(e.__traceback__)
--> 122     raise e.with_traceback(filtered_tb) from None
"""


def test_the_user_s_line_is_found_in_a_notebook() -> None:
    assert diagnose(NOTEBOOK + SERIES).call == ("Cell In[3]", 2, "model.fit(x, y)")
    assert diagnose(SERIES).call is None


def test_the_last_message_counts() -> None:
    both = f"{OTHERS['weights']}\nDuring handling of the above exception:\n{SERIES}"
    assert diagnose(both).cause == "rank"


def test_a_message_may_be_broken_into_lines() -> None:
    assert diagnose(SERIES.replace(" ", "\n    ")).explanation == diagnose(SERIES).explanation


def test_the_message_s_own_layer_is_run() -> None:
    gru = SERIES.replace("layer lstm", "layer 'encoder_gru_2'")
    both = SERIES.replace("layer lstm", "layer 'bidirectional_1'")
    assert diagnose(gru).fixes[0].layers == ("GRU(3)",)
    assert diagnose(both).fixes[0].layers == ("Bidirectional(LSTM(3))",)


USER_LAYERS = {
    "x = LSTM(8)(inputs)": "LSTM(8)",
    "x = layers.GRU(units=8, input_shape=(x.shape[1], 5))(inputs)": "GRU(8)",
    "x = Bidirectional(LSTM(8, return_sequences=True))(x)": "Bidirectional(LSTM(8, return_sequences=True))",
    "x = Bidirectional(LSTM(8), merge_mode='sum')(x)": "Bidirectional(LSTM(8), merge_mode='sum')",
    "model = Sequential([LSTM(4), Dense(2), SimpleRNN(8, activation=f(1))])": "SimpleRNN(8)",
    "self.rnn = nn.RNN(10, hidden_size=8, bidirectional=True)": "Bidirectional(SimpleRNN(8))",
    "self.rnn = torch.nn.GRU(10, 8)": "GRU(8)", "x = LSTM(units)(inputs)": "LSTM(3)", "x = LSTM(8": "LSTM(3)",
    "x = LSTM(-8)(x)": "LSTM(3)", "x = LSTM(99999999)(x)": "LSTM(3)", "x = LSTM()(x)": "LSTM(3)",
    "x = LSTM(8, return_sequence=True, go_backwards=flag)(x)": "LSTM(8)",
}  # fmt: skip


@pytest.mark.parametrize(("code", "layer"), USER_LAYERS.items())
def test_the_layer_in_the_user_s_code_is_run(code: str, layer: str) -> None:
    frame = f'File "train.py", line 9, in <module>\n    {code}\n'
    message = "ValueError: expected ndim=3, found ndim=2. Full shape received: (1, 60)"
    for text in (frame + message, f"{code}\n{message}"):
        (first, *_) = answer_of(text).outcomes
        assert first.fix.layers == (layer,)


def test_the_layer_that_the_message_names_is_taken_of_several() -> None:
    code = "x = LSTM(8)(GRU(7, return_sequences=True)(x))\n"
    assert diagnose(code + SERIES).fixes[0].layers == ("LSTM(8)",)
    assert diagnose(code + SERIES.replace("lstm", "gru_1")).fixes[0].layers == (
        "GRU(7, return_sequences=True)",
    )
    both = "x = Bidirectional(LSTM(8))(LSTM(7)(x))\n"
    named = SERIES.replace("layer lstm", "layer 'bidirectional_1'")
    assert diagnose(both + named).fixes[0].layers == ("Bidirectional(LSTM(8))",)


@pytest.mark.parametrize(("code", "snippet"), [
    ("", "output, forward_h, forward_c, backward_h, backward_c = layer(x)"),
    ("a, b, c = Bidirectional(LSTM(8, return_state=True))(x)",
     "output, forward_h, forward_c, backward_h, backward_c = Bidirectional(LSTM(8, return_state=True))(x)"),
    ("a, b, c = GRU(8)(x)", "output, h = GRU(8, return_state=True)(x)"),
    ("a, b, c = nn.LSTM(10, 8)(x)", "output, (h, c) = lstm(x)"),
    ("a, b, c = Bidirectional(GRU(8), merge_mode=None)(x)",
     "forward, backward, forward_h, backward_h = "
     "Bidirectional(GRU(8, return_state=True), merge_mode=None)(x)"),
])  # fmt: skip
def test_the_first_way_to_unpack_is_not_the_one_that_failed(code: str, snippet: str) -> None:
    first = diagnose(f"{code}\nValueError: too many values to unpack (expected 3)").fixes[0]
    assert first.snippet == snippet
    outcome = attempt(first)
    assert outcome is not None
    assert len(outcome.outputs) == snippet.partition(" = ")[0].count(",") + 1


@pytest.mark.parametrize("steps", [(7, 10), (10, 7)])
@pytest.mark.parametrize(("nodes", "target"), [
    ("data_1, dense/Add", 0),
    ("dense/Add, data_1", 1),
    ("IteratorGetNext:1, sequential/dense/BiasAdd", 0),
    ("sequential/dense/BiasAdd, IteratorGetNext:1", 1),
])  # fmt: skip
def test_steps_of_a_loss_are_told_from_its_units(steps: tuple[int, int], nodes: str, target: int) -> None:
    """target: which of the two nodes is the target."""
    shapes = ", ".join(f"[?,{size},1]" for size in steps)
    loss = "mean_squared_error/SquaredDifference}} = SquaredDifference[T=DT_FLOAT]"
    where = f"for '{{{{node {loss}({nodes})' with input shapes: {shapes}."
    diagnosis = diagnose(f"Dimensions must be equal, but are 7 and 10 {where}")
    of_target, of_output = steps[target], steps[1 - target]
    said = f"The target has {of_target} time steps and the output {of_output}:"
    assert diagnosis.explanation.en.startswith(said)
    assert [fix.shape[1] for fix in diagnosis.fixes] == [of_output, of_target]
    assert f"RepeatVector({of_target})" in diagnosis.fixes[1].snippet


def test_one_bias_and_two_biases_of_a_gru() -> None:
    message = "Layer {} weight shape {} is not compatible with provided weight shape {}."
    one_bias = diagnose(message.format("gru", "(9,)", "(2, 9)"))
    two_biases = diagnose(message.format("gru", "(2, 9)", "(9,)"))
    assert one_bias.fixes[0].layers == ("GRU(3)",)
    assert two_biases.fixes[0].layers == ("GRU(3, reset_after=False)",)
    assert "order" in diagnose(message.format("lstm", "(12,)", "(2, 12)")).fixes[0].situation.en


@pytest.mark.parametrize(("wanted", "given", "first"), [
    ("(1, None, 5)", "(32, 10, 5)", "model.predict(x, batch_size=1)"),
    ("(64, None, 5)", "(32, 10, 5)", "model.predict(x[:len(x) // 64 * 64], batch_size=64)"),
])  # fmt: skip
def test_a_fixed_batch_is_told_from_other_sizes(wanted: str, given: str, first: str) -> None:
    diagnosis = diagnose(f"expected shape={wanted}, found shape={given}")
    assert diagnosis.explanation.en.startswith("The model takes batches of ")
    assert diagnosis.fixes[0].snippet == first
    assert diagnose("expected shape=(1, None, 5), found shape=(32, 10, 4)").explanation.en.startswith(
        "The model was made for"
    )


@pytest.mark.parametrize(("text", "said"), [
    (
        OTHERS["states"].replace(
            "list index out of range", "Too few leaves for PyTreeSpec; expected: 2, got: 1",
        ),
        "ConvLSTM2D has 2 states (hidden, cell)",
    ),
    ("layer lstm: too many values to unpack (expected 2)", "The layer returns more than 2 values"),
    ("layer lstm: Cannot convert '(5, 14.0)' to a shape", "A kernel cannot have 14 columns as a float"),
])  # fmt: skip
def test_a_convolutional_layer_has_the_states_of_an_lstm(text: str, said: str) -> None:
    text = text.replace("layer lstm", "layer conv_lstm2d").replace("LSTM.call", "ConvLSTM2D.call")
    assert answer_of(text).diagnosis.explanation.en.startswith(said)


def test_states_on_another_device_come_first() -> None:
    hidden = diagnose("Input and hidden tensors are not at the same device")
    parameter = diagnose("Input and parameter tensors are not at the same device")
    assert hidden.fixes[0].snippet.startswith("h0 = ")
    assert parameter.fixes[0].snippet.startswith("x = ")


@pytest.mark.parametrize("text", ["hello", "ValueError: something else", "()[]{}", "expected ndim=5"])
def test_unknown_messages(text: str) -> None:
    with pytest.raises(DisagreementError, match="not known") as caught:
        diagnose(text)
    assert caught.value.exit_code == 1


def test_names_of_causes_are_stable_and_used_once() -> None:
    names = [cause.name for cause in read_causes()]
    assert len(names) == len(set(names))
    assert len(names) > 60
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in names)


def test_repetitions_of_patterns_are_bounded() -> None:
    for cause in read_causes():
        assert not re.search(r"[+*]", re.sub(r"\\.|\[[^\]]*\]", "x", cause.pattern)), cause.name


@pytest.mark.parametrize(
    "shape", ["(1, 999999999)", "(999999999, 4)", "(0, 0)", "(None, None)", f"(1, {'9' * 500})", "(1, 99999)"]
)
def test_huge_shapes_are_not_run(shape: str) -> None:
    text = SERIES.replace("(1, 60)", shape)
    with processor_time(5), suppress(DisagreementError):
        assert drawn(answer_of(text), width=80)


def test_too_large_a_fix_shows_shapes_alone() -> None:
    (first, *_) = answer_of(SERIES.replace("60", "99999")).outcomes
    assert first.obstacle == "shapes only: too large to run here"
    assert first.outputs[0].shape == (1, 3)
    assert command_of(first) == ""


def test_a_fix_that_cannot_work_is_not_shown() -> None:
    assert attempt(Fix(Bilingual("said", "말"), "", ("LSTM(0)",), (1, 2, 3))) is None
    assert attempt(Fix(Bilingual("said", "말"), "", ("LSTM(3)",), (1, 2))) is None


def test_a_run_that_goes_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise UsageError("no")

    monkeypatch.setattr(answer, "_compute", fail)
    assert attempt(diagnose(SERIES).fixes[0]) is None


HOSTILE = {
    "megabytes": "x" * 5_000_000, "spaces": " " * 5_000_000,
    "controls": "\x00\x1b[31m\u202e\x07" * 200_000, "escapes": "\x1b[" * 1_000_000,
    "many starts": "expected ndim=3, found ndim=2. Full shape received: (" * 50_000,
    "dimensions": "Dimensions must be equal, but are 1 and 2 for '{{node MatMul " * 50_000,
    "arguments": "Exception encountered when calling LSTM.call(). • mask=" * 50_000,
    "keywords": "Unrecognized keyword arguments passed to LSTM: {'a" * 50_000,
    "backward": "'name': 'backward_a'" * 100_000,
    "sizes": "Data cardinality is ambiguous 'x' sizes: 1" * 100_000,
    "keys": "Missing key(s) in state_dict: " * 100_000,
    "frames": 'File "a", line 1, in b\n  c\n' * 50_000, "layers": "x = LSTM(" * 50_000,
    "closed layers": "Bidirectional(LSTM(8))" * 50_000,
    "brackets": "LSTM(((((((((((((((((((((" * 20_000, "cells": "Cell In[1], line 1\n" * 50_000,
    "spec": "`initial_state` was passed that is not compatible with `cell.state_size`. Received `state_spec`="
    * 9_999,
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_answered_soon(name: str) -> None:
    list(read_causes())
    with processor_time(5), suppress(DisagreementError):
        drawn(answer_of(HOSTILE[name]), width=80)


@pytest.mark.slow
def test_random_pieces_of_messages_never_fail() -> None:
    pieces = [*OTHERS.values(), *AS_TEXT]
    words = [word for text in pieces for word in re.findall(r"\w+|\W", text)]
    draw = random.Random(0)
    for _ in range(150):
        text = draw.choice(pieces)
        for _ in range(draw.randrange(1, 6)):
            start = draw.randrange(len(text) + 1)
            text = text[:start] + draw.choice(words) + text[start + draw.randrange(4) :]
        with suppress(DisagreementError):
            drawn(answer_of(text), width=80)


def test_only_both_ends_of_a_long_text_are_read() -> None:
    assert len(normalize("a" * 10_000_000)) <= HEAD + TAIL + 1
    assert diagnose(f"{'x ' * 1_000_000}{SERIES}").cause == "rank"
    assert diagnose(f"{SERIES}{' x' * 1_000_000}").cause == "rank"


PIECES = re.compile(r"[(\[][\dNone?, x]{0,40}[)\]]|\d+")
ODD = ("()", "( )", "[]", "(0,)", "(None,)", "(1, 2, 3, 4, 5, 6)", "0", "1", "123456789012", "?", "-1")


@pytest.mark.parametrize("text", [*OTHERS.values(), *AS_TEXT])
def test_odd_shapes_and_numbers_never_fail(text: str) -> None:
    for number, piece in enumerate(list(PIECES.finditer(text))[:6]):
        for odd in ODD[number % 3 :: 3]:
            with suppress(DisagreementError):
                assert answer_of(text[: piece.start()] + odd + text[piece.end() :]).document(View())
