"""Names and meanings of tensors, in two languages, and labels of sequences in reverse order."""

import json
from typing import Any

import numpy as np
import pytest
from command import Run

from rnncli import compute, specs
from rnncli.addresses import parse_label
from rnncli.layers.case import Case
from rnncli.show.page import state_part
from rnncli.show.wording import brief, meaning, name_layer, typed


@pytest.mark.parametrize(("name", "lang", "said", "below"), [
    ("hidden_state", "en", "hidden state of the last time step", "last time step"),
    ("hidden_states", "en", "hidden state at every time step", "every time step"),
    ("hidden_states", "ko", "모든 시점의 은닉 상태", "모든 시점"),
    ("last_cell_state", "ko", "마지막 시점의 셀 상태", "마지막 시점"),
    ("forward_hidden_states", "en", "hidden state of the forward layer at every time step",
     "forward, every step"),
    ("forward_last_cell_state", "ko", "정방향 층이 시퀀스를 다 읽은 뒤의 셀 상태", "정방향, 마지막 시점"),
    ("backward_hidden_states", "ko", "모든 시점에서 역방향 층의 은닉 상태", "역방향, 모든 시점"),
    ("1/hidden_states", "en", "layer 1: hidden state at every time step", "layer 1: every time step"),
    ("call 2/hidden_state", "en", "call 2: hidden state of the last time step", "last time step"),
    ("something_else", "en", "", ""),
    ("0/forward/cell", "en", "layer 0: cell", ""),
    ("1/hidden_states", "ko", "1번 층: 모든 시점의 은닉 상태", "1번 층: 모든 시점"),
])  # fmt: skip
def test_meanings(name: str, lang: str, said: str, below: str) -> None:
    assert meaning(parse_label(name), lang) == said
    assert brief(parse_label(name), lang) == below


def test_equal_tensors_are_of_one_part_of_the_state() -> None:
    assert (
        state_part(parse_label("hidden_states"))
        == state_part(parse_label("1/backward_last_hidden_state"))
        == "hidden"
    )
    assert state_part(parse_label("0/forward_last_cell_state")) == "cell"
    assert state_part(parse_label("gate")) == ""


def test_a_layer_is_counted_or_named() -> None:
    assert [name_layer(layer, lang) for layer in (0, "lstm") for lang in ("en", "ko")] == [
        "layer 0", "0번 층", "layer lstm", "lstm 층",
    ]  # fmt: skip


@pytest.mark.parametrize(("command", "said"), [
    ("rnncli help masks", "rnncli help masks --lang ko"),
    ("python train.py 2>&1 | rnncli why", "python train.py 2>&1 | rnncli why --lang ko"),
    ("rnncli samples mgu > mgu.toml; rnncli run", "rnncli samples mgu > mgu.toml; rnncli run --lang ko"),
    ("rnncli tour --lang ko", "rnncli tour --lang ko"),
    ("rnncli samples mgu > mgu.toml", "rnncli samples mgu > mgu.toml"),
    ("rnncli trace -f ndjson | jq .gates", "rnncli trace -f ndjson | jq .gates"),
])  # fmt: skip
def test_a_command_to_type_stays_in_korean(command: str, said: str) -> None:
    assert typed(command, "ko") == said
    assert typed(command, "en") == command


X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
BACK = "LSTM(2, go_backwards=True, return_sequences=True)"
SWAPPED = f"Bidirectional({BACK}, backward_layer=LSTM(2, return_sequences=True), merge_mode=%r)"

ORDERS = [
    ([BACK], [3, 2, 1, 0]),
    (["LSTM(2, return_sequences=True)"], []),
    (["Bidirectional(LSTM(2, return_sequences=True), merge_mode=None)"], []),
    ([SWAPPED % None], [3, 2, 1, 0]),
    ([SWAPPED % "concat"], [3, 2, 1, 0]),
    ([BACK, "Dense(1)"], [3, 2, 1, 0]),
    ([BACK, "GRU(2, return_sequences=True)"], [3, 2, 1, 0]),
    ([BACK, BACK], []),
    (["RNN([GRUCell(2)], go_backwards=True, return_sequences=True)"], [3, 2, 1, 0]),
]


def result(layers: list[str], inputs: np.ndarray = X) -> Any:
    return compute.run(Case(specs.from_flags(layers, {}), inputs, seed=1), "numpy")


@pytest.mark.parametrize(("layers", "order"), ORDERS, ids=[" ".join(one) for one, _ in ORDERS])
def test_each_row_is_named_by_the_input_that_it_saw_last(layers: list[str], order: list[int]) -> None:
    """Row 0 of a layer that runs backwards changes with the input of its own label alone."""
    for tensor in result(layers).outputs:
        assert list(tensor.time) == order
        if len(layers) > 1 or tensor.name.startswith("backward_") or "concat" in layers[0]:
            continue
        times = order or [0, 1, 2, 3]
        changed = X.copy()
        changed[:, times[0]] += 1
        other = next(one.values for one in result(layers, changed).outputs if one.name == tensor.name)
        assert not np.array_equal(other[:, 0], tensor.values[:, 0])
        changed = X.copy()
        changed[:, times[1] :] += 1 if times[1] > times[0] else 0
        changed[:, : times[1] + 1] += 1 if times[1] < times[0] else 0
        other = next(one.values for one in result(layers, changed).outputs if one.name == tensor.name)
        assert np.array_equal(other[:, 0], tensor.values[:, 0])


def print_answer(rnncli: Run, *args: str) -> str:
    return rnncli(*args, "--seed", "1", "--quiet").success().stdout


ASKED = ("run", "--go-backwards", "--return-sequences", "--return-state")


def test_data_has_the_time(rnncli: Run) -> None:
    first, *others = json.loads(print_answer(rnncli, *ASKED, "-f", "json"))["outputs"]
    assert first["time"] == [3, 2, 1, 0]
    assert all("time" not in tensor for tensor in others)
    steps = json.loads(print_answer(rnncli, "trace", *ASKED[1:], "-f", "json"))["trace"]
    assert [(step["timestep"], step["output"][0]) for step in steps] == list(
        zip(first["time"], first["values"][0], strict=True)
    )
    rows = [line.split(",") for line in print_answer(rnncli, *ASKED, "-f", "csv").splitlines()]
    assert [row[2] for row in rows if row[0] == "hidden_states"][::3] == ["3", "2", "1", "0"]


@pytest.mark.parametrize("format", ["table", "markdown", "html", "svg"])
def test_tables_label_the_rows(rnncli: Run, format: str) -> None:
    text = print_answer(rnncli, *ASKED, "-f", format)
    places = [text.index(f"t={time}") for time in (3, 2, 1, 0)]
    assert places == sorted(places)


def test_matrix_labels_its_columns(rnncli: Run) -> None:
    text = print_answer(rnncli, "matrix", "--go-backwards")
    line = next(line for line in text.splitlines() if "t=3" in line)
    assert line.split()[1:] == ["t=3", "t=2", "t=1", "t=0"]
    assert "hidden_states[:, -1-t, :]" in text
