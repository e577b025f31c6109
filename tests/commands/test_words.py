"""Names of steps, answers and sentences about a layer stand wherever steps and outputs are shown."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli as package
from rnncli.ask import Ask, subject_of
from rnncli.inputs import sample_files

SENTENCE = "the film is not very good"
WORDS = SENTENCE.split()


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("review") / "review.json"
    path.write_bytes(sample_files.path("review").read_bytes())
    return str(path)


def shown(done: Any) -> str:
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_run_has_words_and_answers(rnncli: Any, review: str) -> None:
    text = shown(rnncli("run", review))
    rows = re.findall(r"t=(\d) (\w+) +(-?[\d.]+)  (good|bad|undecided)", text)
    assert [row[1] for row in rows] == WORDS
    assert [row[3] for row in rows] == ["undecided"] * 3 + ["bad"] * 3
    assert "Reads a review: good (1) or bad (-1)." in text
    assert "좋은지(1) 나쁜지(-1) 판단합니다." in shown(rnncli("run", review, "--lang", "ko"))


def test_the_last_state_has_an_answer_and_a_cell_state_has_none(rnncli: Any, review: str) -> None:
    text = shown(rnncli("run", review, "-l", "GRU(1, return_state=True)"))
    assert len(re.findall(r" (?:outputs|h) +-[\d.]+  bad$", text, re.MULTILINE)) == 2
    document = {"inputs": [[[1]]], "answers": {"0": "low"}, "layer": "LSTM(1, return_state=True)"}
    text = shown(rnncli("run", json.dumps(document), "--seed", "1"))
    assert re.search(r" h +[\d.]+  low$", text, re.MULTILINE)
    assert not re.search(r" c +[\d.]+  low", text)


def test_trace_has_a_column_of_words(rnncli: Any, review: str) -> None:
    head, *rows = shown(rnncli("trace", review)).split("\n\n")[1].splitlines()
    assert head.split() == ["t", "word", "update", "reset", "candidate", "hidden"]
    assert [row.split()[:2] for row in rows] == [[str(t), word] for t, word in enumerate(WORDS)]
    assert [row.split()[6] for row in rows] == ["undecided"] * 3 + ["bad"] * 3


def test_csv_has_the_step_after_the_timestep(rnncli: Any, review: str) -> None:
    for command in ("run", "trace", "gradients"):
        rows = list(csv.DictReader(shown(rnncli(command, review, "-f", "csv")).splitlines()))
        names = list(rows[0])
        assert names.index("step") == names.index("timestep") + 1
        assert [*dict.fromkeys((row["timestep"], row["step"]) for row in rows)] == [
            (str(t), word) for t, word in enumerate(WORDS)
        ]
        assert "step" not in shown(rnncli(command, "--seed", "1", "-f", "csv")).splitlines()[0].split(",")


def test_json_names_the_input(rnncli: Any, review: str) -> None:
    given = {"features": ["a", "b"], "batch": ["one"], "steps": ["mon", "tue"]}
    document = json.dumps({"inputs": [[[1, 2], [3, 4]]], "layer": "gru", **given})
    for command in ("run", "trace", "gradients", "explain hidden_state[0,0]"):
        read = json.loads(shown(rnncli(*command.split(), document, "-f", "json", "--seed", "1")))["input"]
        assert (read["features"], read["batch"], read["steps"]) == (["a", "b"], ["one"], [["mon", "tue"]])
        read = json.loads(shown(rnncli(*command.split(), "--seed", "1", "-f", "json")))["input"]
        assert set(read) == {"shape", "dtype"}
    assert json.loads(shown(rnncli("run", review, "-f", "json")))["input"]["steps"] == [WORDS]


def test_explain_and_gradients(rnncli: Any, review: str) -> None:
    title, where, *_ = shown(rnncli("explain", "hidden_states[0,3,0]", review)).splitlines()
    assert title.endswith("  bad")
    assert where.endswith("t=3 not")
    table = shown(rnncli("gradients", review)).split("\n\n")[1].splitlines()
    assert table[0].split() == ["t", "word", "hidden", "input"]
    assert [row.split()[1] for row in table[1:]] == WORDS
    assert "before t=3 (not)" in shown(rnncli("gradients", review))


def test_plots(rnncli: Any, review: str, tmp_path: Path) -> None:
    assert " ".join(WORDS) in " ".join(shown(rnncli("plot", review, "--terminal")).split())
    assert rnncli("plot", review, "-o", str(tmp_path / "a.svg")).returncode == 0
    drawn = (tmp_path / "a.svg").read_text()
    assert all(f"<!-- {word} -->" in drawn for word in WORDS)


def test_lines_of_a_stream_have_their_words(rnncli: Any) -> None:
    words = {"a": [1, 0], "b": [0, 1]}
    lines = [
        {"inputs": ["a b"], "words": words}, {"inputs": ["b a"], "words": words},
        [[[1, 0], [0, 1]]], {"inputs": [[[1, 0], [0, 1]]], "steps": ["mon", "tue"]},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, lines))
    flags = ("--stream", "-l", "GRU(1, return_sequences=True)", "--seed", "1")
    table = shown(rnncli("run", *flags, input=text))
    assert re.findall(r"t=\d(?: \w+)?", table) == [
        "t=0 a", "t=1 b", "t=0 b", "t=1 a", "t=0", "t=1", "t=0 mon", "t=1 tue",
    ]  # fmt: skip
    answers = [
        json.loads(line) for line in shown(rnncli("run", *flags, "-f", "ndjson", input=text)).splitlines()
    ]
    assert [answer.get("input") for answer in answers] == [
        {"steps": [["a", "b"]]}, {"steps": [["b", "a"]]}, None, {"steps": [["mon", "tue"]]},
    ]  # fmt: skip
    assert answers[0]["outputs"] == answers[2]["outputs"] == answers[3]["outputs"]


def test_run_ends_in_the_verdict_and_json_has_one_a_step(rnncli: Any) -> None:
    document = {
        "layer": "SimpleRNN(1, return_sequences=True)", "inputs": ["good", "not good", "so so"],
        "words": {"good": [1], "not": [-4], "so": [0.08]},
        "answers": {"-1": "bad", "0": "undecided", "1": "good"},
        "weights": {"kernel": [[1]], "recurrent_kernel": [[2]], "bias": [0]},
    }  # fmt: skip
    for layer in (
        document["layer"],
        "SimpleRNN(1)",
        "SimpleRNN(1, return_sequences=True, return_state=True)",
    ):
        text = shown(rnncli("run", json.dumps(document), "-l", layer))
        assert text.endswith("\nverdict: good (0.76), bad (-0.76), undecided (0.24)\n")
    assert (
        shown(rnncli("run", json.dumps(document), "--lang", "ko")).splitlines()[-1].startswith("판단: good (")
    )
    for command, answers in (
        ("run", [[["good", ""], ["bad", "bad"], ["undecided", "undecided"]]]),
        ("trace", [["good", "bad", "undecided"], ["", "bad", "undecided"]]),
    ):
        read = json.loads(shown(rnncli(command, json.dumps(document), "-f", "json")))
        assert [part["answers"] for part in read["outputs" if command == "run" else "trace"]] == answers
    many = {**document, "inputs": ["good"] * 10}
    assert shown(rnncli("run", json.dumps(many))).splitlines()[-1].count("good (0.76)") == 8
    text = shown(rnncli("run", input=sample_files.path("bank").read_text()))
    assert "verdict" not in text  # a half has an answer of its own, at every step


def test_halves_have_answers_of_their_own(rnncli: Any) -> None:
    text = shown(rnncli("run", input=sample_files.path("bank").read_text()))
    assert re.search(r"t=1 bank .*  nothing yet │ money\n", text)
    assert re.search(r"t=1 bank .*  nothing yet │ river\n", text)


def test_masked_padding_has_no_word_and_no_answer(rnncli: Any) -> None:
    text = shown(rnncli("samples", "review", "the film is bad", SENTENCE))
    assert re.search(r"t=3 bad +-[\d.]+  bad\n +t=4 +-[\d.]+  masked\n", shown(rnncli("run", input=text)))
    rows = [row.split() for row in shown(rnncli("trace", input=text)).splitlines() if " carried over" in row]
    assert [(row[0], row[3]) for row in rows] == [("4", "masked:"), ("5", "masked:")]


# ------------------------------------------------------------------------------------------- sentences


def test_samples_take_sentences(rnncli: Any) -> None:
    done = rnncli("samples", "review", "The film is  BAD", "this plot was fun")
    document = json.loads(shown(done))
    assert document["inputs"] == ["the film is bad", "this plot was fun"]
    whole = json.loads(sample_files.path("review").read_text())
    assert document == {**whole, "inputs": document["inputs"]}
    for name in ("review", "review_ko", "bank", "brackets"):
        text = sample_files.path(name).read_text(encoding="utf-8")
        assert shown(rnncli("samples", name, *json.loads(text)["inputs"])) == text


@pytest.mark.parametrize(("words", "said"), [
    (("review", "the ship is bad"), "'ship', which is not in the vocabulary.\nThe words are: nouns: film"),
    (("review", "goood"), "Did you mean good?"),
    (("review", ""), "[0] is an empty sentence."),
    (("review", "the film", "\x1b[31m"), "'\\x1b[31m'"),
    (("note", "the film"), "the sample note has no words, so it takes no text."),
    (("series", "1 2"), "the sample series has no words"),
    (("mgu", "x"), "the sample mgu has no words"),
    (("revue", "x"), "Did you mean review?"),
])  # fmt: skip
def test_what_samples_do_not_take(rnncli: Any, words: tuple[str, ...], said: str) -> None:
    assert said in rnncli("samples", *words).refusal()


# ------------------------------------------------------------------------------------------- seeds


def test_without_a_draw_there_is_no_seed(rnncli: Any, review: str) -> None:
    for command in ("run", "trace", "gradients", "matrix", "explain hidden_states[0,0,0]"):
        done = rnncli(*command.split(), review)
        assert "seed" not in shown(done) + done.stderr
    answer = json.loads(shown(rnncli("run", review, "--seed", "5", "-f", "json")))
    assert answer["seed"] is None
    assert "note: --seed has no effect: all weights are given" in rnncli("run", review, "--seed", "5").stderr
    assert package.run("review").seed is None


def test_what_is_drawn_has_a_seed(rnncli: Any, review: str) -> None:
    """Other layers, dropout in training, and a generated input."""
    for flags in (
        (review, "-l", "lstm"),
        (review, "-l", "GRU(1, dropout=0.5)", "--training"),
        ("--input-shape", "1,2,3", "-l", "gru", "--units", "1", "--weights", json.dumps(weights())),
    ):
        if flags[2] == "lstm":  # the document's weights are a GRU's
            continue
        assert re.search(r"seed \d+", shown(rnncli("run", *flags)))
    assert re.search(r"seed \d+", shown(rnncli("run", "-l", "lstm")))
    assert "seed 7" in shown(rnncli("run", review, "-l", "GRU(1, dropout=0.5)", "--training", "--seed", "7"))


def weights() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(sample_files.path("review").read_text())["weights"]
    return read


# ------------------------------------------------------------------------------------------- the page


def page_data(text: str) -> dict[str, Any]:
    start = text.index('"rnncli-page":')
    data: dict[str, Any] = json.JSONDecoder().raw_decode(text, text.index("{", start))[0]
    return data


def test_a_page_has_the_words(rnncli: Any, review: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert rnncli("report", review, "-o", str(path)).returncode == 0
    data, sample = page_data(path.read_text()), json.loads(sample_files.path("review").read_text())
    assert data["steps"] == [WORDS]
    assert data["words"] == sample["words"]
    assert (data["answers"], data["about"]) == (sample["answers"], sample["about"])
    assert data["seed"] is None
    assert "--seed" not in json.dumps(data["commands"])
    assert rnncli("report", "-l", "lstm", "--seed", "1", "-o", str(path)).returncode == 0
    data = page_data(path.read_text())
    assert [data[key] for key in ("steps", "words", "answers", "about")] == [None] * 4


@pytest.mark.parametrize(("flags", "is_note"), [
    ((), True), (("--hold", "forget=0@3"), True), (("--lang", "ko"), True), (("-l", "lstm"), False),
    (("--seed", "1"), False), (("--units", "2"), False), (("--return-sequences",), False),
    (("sentence",), False),
])  # fmt: skip
def test_a_page_about_nothing_else_is_about_note(
    rnncli: Any, here: Path, flags: tuple[str, ...], is_note: bool
) -> None:
    done = rnncli("report", *flags, "-o", "page.html").success()
    data = page_data(Path("page.html").read_text())
    assert (data["features"] == ["temperature", "button"]) is is_note
    assert ("'note' (1, 6, 2)" in done.stderr or "ko" in flags) is is_note
    if is_note:
        assert data["commands"]["variants"]["10"] == "rnncli run note"
        Path("note").mkdir()  # a folder of that name is not in the way
        assert rnncli("report", *flags, "-o", "page.html").returncode == 0


def test_python_has_the_same(tmp_path: Path) -> None:
    page = package.report()
    assert page_data(page._repr_html_().replace("&quot;", '"'))["features"] == ["temperature", "button"]
    document = json.loads(sample_files.path("review").read_text())
    arrays = {**document, "weights": {path: np.array(value) for path, value in document["weights"].items()}}
    result = package.run({**arrays, "inputs": ["the film is bad"]})
    assert result.document()["input"]["steps"] == [["the", "film", "is", "bad"]]
    assert float(np.asarray(result.hidden_states)[0, 3, 0]) < -0.8
    with pytest.raises(package.InputError, match="'ship'"):
        package.run({**document, "inputs": ["the ship"]})


# ------------------------------------------------------------------------------------------- explore


def test_an_experiment_keeps_its_words(review: str) -> None:
    from rnncli.commands.explore import experiment

    written = json.loads(experiment.document(experiment.start(Ask(input=review))[0]))
    assert written["words"] == json.loads(sample_files.path("review").read_text())["words"]
    assert written["steps"] == [WORDS]
    assert written.get("seed") is None
    assert subject_of(Ask(input=json.dumps(written))).parts().case.names.steps == (tuple(WORDS),)


SEEDED = ("--seed", "7", "--quiet", "--width", "100")
COMMANDS = [
    ("trace", "-l", "simple_rnn"),
    ("gradients", "-l", "simple_rnn"),
    ("gradients", "-l", "simple_rnn", "--of", "kernel"),
    ("explain", "candidate[0,1,0]", "-l", "simple_rnn"),
    ("explain", "forward/candidate[0,1,0]", "-l", "Bidirectional(SimpleRNN(2))"),
    ("plot", "-l", "simple_rnn", "--terminal"),
    ("gradients", "-l", "RNN([SimpleRNNCell(3), LSTMCell(2)])", "--of", "0/kernel"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("lang", "state", "gate"), [("en", "new hidden state", "gate"), ("ko", "새 은닉 상태", "게이트")]
)
def test_every_page_names_the_candidate(rnncli: Any, command: Any, lang: str, state: str, gate: str) -> None:
    shown = rnncli(*command, *SEEDED, "--lang", lang).stdout
    assert state in shown
    assert gate not in shown.replace("not a gate", "").replace("게이트가 아님", "")


def test_a_candidate_of_another_cell_is_still_a_part_of_its_update(rnncli: Any) -> None:
    for layer in ("lstm", "gru"):
        for command in (("trace",), ("gradients",), ("gradients", "--of", "kernel"), ("plot", "--terminal")):
            assert "new hidden state" not in rnncli(*command, "-l", layer, *SEEDED).stdout
    both = rnncli("gradients", "--against", "simple_rnn,lstm", "--of", "kernel", *SEEDED).stdout
    assert "\nSimpleRNN  candidate (new hidden state)  " in both
    assert "\nLSTM       candidate  " in both
    trace = rnncli("trace", "-l", "gru", "--return-sequences", "-l", "simple_rnn", *SEEDED).stdout
    assert "\n1/candidate: the new hidden state, not a gate" in trace


def test_the_keys_of_json_stay(rnncli: Any) -> None:
    (step, *_) = json.loads(rnncli("trace", "-l", "simple_rnn", *SEEDED, "-f", "json").stdout)["trace"]
    assert list(step["gates"]) == ["candidate"]
    (found,) = json.loads(
        rnncli("gradients", "-l", "simple_rnn", "--of", "kernel", *SEEDED, "-f", "json").stdout
    )["layers"]
    assert list(found["lines"]) == ["candidate"]
    rows = rnncli("gradients", "-l", "simple_rnn", "--of", "kernel", *SEEDED, "-f", "csv").stdout.splitlines()
    assert rows[0] == "layer,gate,value"
    assert rows[1].startswith("SimpleRNN,candidate,")


def test_equations_decide_not_the_name(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(rnncli("export", "-l", "simple_rnn", "--to", "cell").stdout)
    assert "new hidden state" in rnncli("trace", "-l", f"@{tmp_path / 'own.toml'}", *SEEDED).stdout


def test_a_weight_that_no_line_reads(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "idle.toml").write_text(
        'name = "Idle"\nstates = ["hidden"]\n[weights]\nidle = { shape = ["units"] }\n'
        '[step]\nhidden = "0.5 * hidden + x @ kernel"\n'
    )
    shown = rnncli("gradients", "-l", f"@{tmp_path / 'idle.toml'}", "--of", "idle", *SEEDED).stdout
    assert shown.endswith("with respect to idle\nno line of the cell reads it\n")
