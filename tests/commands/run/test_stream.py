"""run --stream: records in, results out, as they come."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import Completed, Run, run_here
from hypothesis import given
from hypothesis import strategies as some
from limits import PATIENCE

from rnncli import compute, specs
from rnncli.ask.lines import InputLine, Stream, whole_lines
from rnncli.errors import InputError, RnncliError
from rnncli.layers.case import Case
from rnncli.process import memory
from rnncli.result import Result

RNNCLI = str(Path(sys.executable).with_name("rnncli"))
WEIGHTS = {"kernel": [[1], [2]], "recurrent_kernel": [[0.5]], "bias": [0]}
RECORDS = [[[1, 2], [3, 4]], [[0.5, -1], [2, 0.25]], [[1, 2]], [[[1, 2]], [[3, 4]]]]


def lines(*records: object) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


def stream(text: str, *flags: str) -> Completed:
    return run_here("run", "--stream", "--seed", "1", "-f", "ndjson", "--quiet", *flags, input=text)


def alone(record: object, *flags: str) -> list[Any]:
    done = run_here("run", json.dumps(record), "--seed", "1", "-f", "json", *flags)
    return [output["values"] for output in json.loads(done.stdout)["outputs"]]


def every(text: str) -> list[list[Any]]:
    return [values(line) for line in text.splitlines()]


def values(line: str) -> list[Any]:
    return [output["values"] for output in json.loads(line)["outputs"]]


@pytest.mark.parametrize("layer", ["lstm", "bigru"])
def test_each_line_is_answered_as_if_it_were_alone(layer: str) -> None:
    flags = ("-l", layer, "--return-sequences", "--return-state")
    done = stream(lines(*RECORDS), *flags)
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.splitlines()
    assert len(answers) == len(RECORDS)
    for record, answer in zip(RECORDS, answers, strict=True):
        for mine, single in zip(values(answer), alone(record, *flags), strict=True):
            np.testing.assert_allclose(mine, single, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("flags", [(), ("--mask-value", "0"), ("--pad", "post"), ("--mask", "[1, 0]")])
def test_equal_lines_have_equal_answers_whatever_masks_them(ragged: bool, flags: tuple[str, ...]) -> None:
    inputs = [[[1, 2], [0, 0]], [[5, 6]]] if ragged else [[[1, 2], [0, 0]], [[5, 6], [7, 8]]]
    record = {"inputs": inputs, "mask": [[False, True], [True, True]]}
    flags = ("--pad", "post", *flags) if ragged and "--pad" not in flags else flags
    done = stream(lines(*[record] * 3), *flags)
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = (values(answer) for answer in done.stdout.splitlines())
    assert others == [first, first]
    assert first == alone(record, *flags)


def test_claims_are_those_of_each_record() -> None:
    same = lines(*[[[0, 0], [0, 0]]] * 2, [[1, 2], [3, 4]])
    answers = stream(same, "-l", "gru", "--return-state").stdout.splitlines()
    assert all(json.loads(answer)["outputs"][1]["equals"] == ["hidden_state"] for answer in answers)


def test_a_stateful_layer_goes_on_from_line_to_line_as_keras_does() -> None:
    done = stream(lines(RECORDS[0], RECORDS[1], RECORDS[2]), "-l", "gru", "--stateful")
    keras.utils.set_random_seed(1)
    layer = keras.layers.GRU(3, stateful=True)
    for record, answer in zip(RECORDS[:3], done.stdout.splitlines(), strict=True):
        theirs = layer(np.asarray([record], "float32")).numpy()
        np.testing.assert_allclose(values(answer)[0], theirs, rtol=0, atol=1e-6)


def test_an_initial_state_is_where_a_stateful_stream_begins() -> None:
    record, state = [[1, 2]], "[[[0.5, 0.25, -0.5]]]"
    flags = ("-l", "gru", "--stateful", "--initial-state", state)
    first, second = (values(line) for line in stream(lines(record, record), *flags).stdout.splitlines())
    assert first == alone(record, *flags)
    assert second != first


@pytest.mark.parametrize(("words", "waits"), [((), True), (("/dev/stdin",), False)], ids=["stdin", "named"])
@pytest.mark.slow
def test_answers_come_as_the_lines_come(words: tuple[str, ...], waits: bool) -> None:
    """Also from a producer that does not wait: a read of its pipe returns at once."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, waits)
    command = [RNNCLI, "run", *words, "--stream", "-l", "gru", "--seed", "1", "-f", "ndjson"]
    with subprocess.Popen(command, stdin=ours, stdout=subprocess.PIPE, text=True) as process:
        os.close(ours)
        assert process.stdout is not None
        for record in RECORDS[:2]:
            os.write(theirs, lines(record).encode())
            assert json.loads(process.stdout.readline())["schema"] == "rnncli/1"  # while the pipe is open
            time.sleep(0.1)
        os.close(theirs)
        assert process.wait(timeout=PATIENCE) == 0


def test_keep_going_goes_on_and_leaves_with_1() -> None:
    text = f"{lines(RECORDS[0])}foo\n{lines(RECORDS[1])}[[1]]\n{lines(RECORDS[2])}"
    done = stream(text, "--keep-going")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert "line 2" in done.stderr
    assert "line 4" in done.stderr
    assert "2 lines failed." in done.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_quietly() -> None:
    script = f"yes '[[1, 2], [3, 4]]' | '{RNNCLI}' run --stream --seed 1 -f ndjson --quiet | head -2 | wc -l"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout.strip(), done.stderr) == ("2", "")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    assert stream(f"{lines(RECORDS[0])}foo\n", "-o", str(out)).returncode == 2
    assert list(tmp_path.iterdir()) == []
    assert stream(lines(*RECORDS[:2]), "-o", str(out)).returncode == 0
    assert len(out.read_text().splitlines()) == 2


def named(*words: str, text: str = "") -> Completed:
    """Of an INPUT on the command line; stdin holds `text`."""
    return run_here("run", *words, "--stream", "--seed", "1", "-f", "ndjson", input=text)


def test_remarks_on_the_first_line_are_shown_once_and_not_when_quiet() -> None:
    text = lines(RECORDS[0], RECORDS[1])
    assert named(text=text).stderr.count("note: added a batch axis") == 1
    assert named("--quiet", text=text).stderr == ""
    assert "note" not in named(text="foo\n").stderr


def test_a_line_that_does_not_go_on_from_the_one_before_is_named() -> None:
    done = stream(lines([[[1, 2]]], [[[1, 2]], [[3, 4]]]), "--stateful", "--keep-going", "--quiet")
    assert done.returncode == 1
    assert "line 2: a stateful layer keeps the states of a batch of 1" in done.stderr
    assert "1 line failed." in done.stderr


LEFT, RIGHT = [False, True, True], [True, True, False]
STEPS = [[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]]
MASKED = [
    {"inputs": STEPS},
    *({"inputs": STEPS, "mask": [mask]} for mask in (LEFT, [True, False, True], RIGHT)),
]


def test_a_mask_that_onnx_cannot_express_is_refused_at_its_line() -> None:
    pytest.importorskip("onnxruntime")
    exact = [values(line) for line in stream(lines(*MASKED), "--engine", "numpy").stdout.splitlines()]
    done = stream(lines(*MASKED), "--engine", "onnx", "--keep-going")
    np.testing.assert_allclose(
        [values(line) for line in done.stdout.splitlines()], exact[::3], rtol=0, atol=1e-6
    )
    assert done.returncode == 1
    for number in (2, 3):
        assert (
            f"line {number}: the engine onnx cannot compute this: it can skip only trailing steps"
            in done.stderr
        )


@pytest.mark.slow
def test_where_auto_took_onnx_numpy_answers_what_that_cannot() -> None:
    pytest.importorskip("onnxruntime")
    steps = np.random.default_rng(0).standard_normal((1, 20_000, 4)).round(2).tolist()
    late = [[False] * 10_000 + [True] * 10_000]
    answers = stream(lines({"inputs": steps}, {"inputs": steps, "mask": late}, {"inputs": steps})).stdout
    engines = [json.loads(answer)["engine"] for answer in answers.splitlines()]
    assert engines == ["onnx", "numpy", "onnx"]
    exact = stream(lines({"inputs": steps, "mask": late}), "--engine", "numpy").stdout
    assert values(answers.splitlines()[1]) == values(exact)


@pytest.mark.parametrize("bad", ["foo", '{"inputs": [[1, 2], [3, 4]], "mask": [false, true]}'])
def test_an_initial_state_waits_for_the_first_line_that_is_answered(bad: str) -> None:
    states = json.dumps([[[0.5, 0.25, -0.5]], [[0.1, 0.2, 0.3]]])
    flags = ("-l", "Masking()", "-l", "LSTM(3, stateful=True)", "--initial-state", states, "--keep-going")
    good = stream(lines([[1, 2]], [[3, 4]]), *flags)
    assert good.returncode == 0
    done = stream(f"{bad}\n{lines([[1, 2]], [[3, 4]])}", *flags)
    assert done.returncode == 1
    assert "line 1" in done.stderr
    assert every(done.stdout) == every(good.stdout)


@pytest.mark.parametrize(
    ("records", "flags"),
    [(([[1, 2, 3]], [[1, 2]]), ["-l", "simple_rnn", "--units", "1", "--weights", json.dumps(WEIGHTS)]),
     (([[[1]]], [[[1]], [[2]]]), ["-l", "gru", "--initial-state", "[[[1, 2, 3], [4, 5, 6]]]"]),
     (([[[1]], [[2]]], [[[1]]]), ["-l", "gru", "--initial-state", "[[1, 2, 3]]"]),
     (([[[1], [2]], [[3]]], [[[1]], [[2]]]), ["--input-axes", "time,batch,features"])],
    ids=["weights", "states", "states of one", "ragged"],
)  # fmt: skip
def test_a_first_line_that_does_not_fit_is_its_own_error(records: tuple[Any, Any], flags: list[str]) -> None:
    """Its features are not those of the weights, its batch is not that of the states, it has no axes."""
    done = stream(lines(*records), *flags, "--keep-going")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)
    assert "rnncli: line 1: " in done.stderr


def test_what_one_layer_refuses_leaves_no_state_in_the_one_before() -> None:
    pytest.importorskip("onnxruntime")
    layer = "SimpleRNN(1, stateful=True, activation='linear', kernel_initializer=Constant({}){})"
    stack = ("-l", layer.format(1, ", return_sequences=True"), "-l", layer.format(3, ""))
    flags = (*stack, "--engine", "onnx", "--keep-going")
    good = stream(lines([[1]], [[2]]), *flags)
    done = stream(lines([[1]], [[9e17]], [[2]]), *flags)
    assert (good.returncode, done.returncode) == (0, 1)
    assert every(done.stdout) == every(good.stdout)


def test_nor_does_a_second_call_of_the_same_record() -> None:
    """The first has left 1000 behind, and the second goes beyond what onnx carries on."""
    pytest.importorskip("onnxruntime")
    initializers = "kernel_initializer=Constant(1.0), recurrent_initializer=Constant(1e17)"
    layer = f"SimpleRNN(1, stateful=True, activation='linear', {initializers})"
    flags = ("-l", layer, "--calls", "2", "--engine", "onnx", "--keep-going")
    good = stream(lines([[[1]]]), *flags)
    done = stream(lines([[[1000]]], [[[1]]]), *flags)
    assert (good.returncode, done.returncode) == (0, 1)
    assert every(done.stdout) == every(good.stdout)


def test_a_record_without_room_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = answers_in_process(
        "LSTM(9, return_sequences=True)", [[[1.0]]], np.ones((9000, 9, 1)), [[[2.0]]]
    )
    monkeypatch.setattr(memory, "total", lambda: 10**6)
    first, second, third = answers
    assert isinstance(first, Result)
    assert isinstance(second, InputError)
    assert re.match("line 2: the layers would need .* of memory", second.what)
    assert isinstance(third, Result)


@pytest.mark.slow
def test_answers_do_not_wait_for_more_than_some_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    prepare = compute.prepare

    def watched(case: Case, engine: str) -> Callable[[Case], Result]:
        answer = prepare(case, engine)
        return lambda one: sizes.append(len(one.inputs)) or answer(one)  # type: ignore[func-returns-value]

    monkeypatch.setattr(compute, "prepare", watched)
    answers = answers_in_process("LSTM(9, return_sequences=True)", *[np.ones((1, 2000, 1))] * 100)
    assert isinstance(next(answers), Result)
    assert 1 < sizes[0] < 50
    assert len(list(answers)) == 99
    assert sum(sizes) == 100


def answers_in_process(layer: str, *inputs: Any) -> Iterator[Result | RnncliError]:
    """Of lines that have come at once, one for each of `inputs`."""
    layers = specs.from_flags([layer], {})

    def case_of(line: InputLine) -> Case:
        return Case(layers, np.asarray(inputs[line.number - 1], np.float32))

    return Stream(case_of, "numpy").answers(
        [InputLine(number, "", b"") for number, _ in enumerate(inputs, 1)]
    )


def test_one_bad_record_takes_no_neighbour_with_it() -> None:
    pytest.importorskip("onnxruntime")
    records = [[[[1, 2], [3, 4]]], [[["NaN", 2], [3, 4]]], [[[5, 2], [3, 4]]]]
    done = stream(lines(*records), "--engine", "onnx", "--keep-going")
    assert len(done.stdout.splitlines()) == 2
    assert re.findall("rnncli: line [0-9]+", done.stderr) == ["rnncli: line 2"]
    done = stream(lines(*records), "--engine", "onnx")
    assert (done.returncode, len(done.stdout.splitlines())) == (3, 1)
    assert "line 2" in done.stderr


@pytest.mark.parametrize(("flags", "code"), [
    (("-l", "foo"), 2),
    (("--weights", '{"kernel": [[1]]}'), 2),
    (("--initial-state", "[[[1]]]"), 2),
    (("--engine", "onnx", "--dtype", "float64"), 2),
    (("--select", "nothing"), 2),
])  # fmt: skip
def test_what_is_wrong_with_every_line_is_said_once(flags: tuple[str, ...], code: int) -> None:
    done = stream(lines(*[[[1, 2]]] * 50), "--keep-going", *flags)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("rnncli: ") == 1
    assert "line 1" not in done.stderr


@pytest.mark.parametrize(("text", "said"), [
    ('{"inputs": [[1, 2]], "inputs": [[3, 4]]}', "line 2: the key 'inputs' appears twice"),
    ('{"inputs": [[1, 2]], "mask": [[true, false]]}', "line 2: mask.json: the mask is"),
    ('{"inputs": [[1, 2]], "seed": 3}', "line 2: "),
    ("[[1, 2, 3]]", "line 2 has 3 features"),
    ("[[1, foo]]", "line 2, column 6"),
    ("{", "line 2: a value starts here"),
])  # fmt: skip
def test_errors_name_the_file_and_the_line(tmp_path: Path, text: str, said: str) -> None:
    file, flags = tmp_path / "records.ndjson", []
    file.write_text(f"[[1, 2]]\n{text}\n")
    if "mask" in said:
        (tmp_path / "mask.json").write_text("[true]")
        file.write_text(f"[[1, 2]]\n{text.replace('[[1, 2]]', '[[1, 2], [3, 4]]')}\n")
        flags = ["--mask", "mask.json"]
    command = ["run", "records.ndjson", "--stream", "--seed", "1", "-f", "ndjson", *flags]
    done = run_here(*command, cwd=tmp_path)
    assert (done.returncode, len(done.stdout.splitlines())) == (2, 1)
    assert f"rnncli: records.ndjson: {said}" in done.stderr


@pytest.mark.slow
def test_a_mask_comes_out_of_a_pipe_once() -> None:
    script = (
        f"printf '[[1, 2]]\n[[3, 4]]\n' | '{RNNCLI}' run --stream --seed 1 --mask <(echo '[true]') -f ndjson"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr


def test_a_named_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE, text=True) as reader:
        done = stream(lines(*RECORDS[:2]), "-o", str(tmp_path / "pipe"))
        read, _ = reader.communicate(timeout=PATIENCE)
    assert (done.returncode, len(read.splitlines())) == (0, 2)
    assert (tmp_path / "pipe").is_fifo()


def test_what_only_a_later_line_is_told() -> None:
    done = named(text=lines(RECORDS[0], [[1e300, 2]], [[1e301, 2]]))
    assert done.returncode == 0
    assert done.stderr.count("too large") == 1
    assert "note: line 2: 1 number is too large for float32" in done.stderr


# The short form of lines, tables that stand apart, and no locale in what programs read


class TestTheShortForm:
    RECORDS = "[[[1, 2]]]\n\n[[[3, 4]]]\n"

    def test_an_object_a_line_says_its_line_and_no_config(self, rnncli: Run) -> None:
        done = rnncli("run", "--stream", "-l", "gru", "--seed", "1", "-f", "ndjson", input=self.RECORDS)
        first, second = map(json.loads, done.stdout.splitlines())
        assert list(first) == ["schema", "line", "engine", "seed", "expression", "outputs"]
        assert (first["line"], second["line"], first["expression"]) == (1, 3, "GRU(3)")

    def test_tables_stand_apart_and_name_their_line(self, rnncli: Run) -> None:
        done = rnncli("run", "--stream", "--seed", "1", "--quiet", input=self.RECORDS)
        first, second = done.stdout.split("\n\nLSTM(3)\n")
        assert first.startswith("LSTM(3)\nline 1 · input")
        assert second.startswith("line 3 · input")
        assert second.endswith("\n")
        assert not second.endswith("\n\n")


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_no_locale_changes_the_meanings_of_json(format: str, rnncli: Run) -> None:
    korean = {"LANG": "ko_KR.UTF-8"}
    for args in (("run",), ("shape",), ("matrix",), ("explain", "hidden_state[0,0]")):
        text = rnncli(*args, "-f", format, env=korean).stdout
        assert "hidden state of the last time step" in text
        assert "은닉" not in text
    assert "은닉" in rnncli("run", "-f", format, "--lang", "ko", env={"LANG": "C.UTF-8"}).stdout


TEXTS = some.lists(some.sampled_from(["[[1]]", "", "  ", "é", "\r", "\ufeff7"]))


@pytest.mark.slow
@given(TEXTS, some.booleans(), some.integers(1, 9))
def test_lines_are_what_stands_between_their_ends(texts: list[str], ended: bool, size: int) -> None:
    source = io.BytesIO("\n".join(texts).encode() + b"\n" * ended)
    found = [line for lines in whole_lines(lambda: source.read(size), "a") for line in lines]
    assert found == [
        InputLine(number, "a", text.removeprefix("\ufeff").encode())
        for number, text in enumerate(texts, start=1)
        if text.strip()
    ]
