"""The lesson: every command that it shows gives the numbers that it shows, and what it says is so."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from claims import claim
from command import Run
from hangul import check_translated
from looks import columns_of, drawn, matches_golden

from rnncli import handbook
from rnncli.addresses import parse_label
from rnncli.commands.tour import drawing, lesson
from rnncli.commands.tour.answer import TourAnswer
from rnncli.commands.tour.observations import OBSERVATIONS, Observation, measure_norms, observe
from rnncli.result import NamedTensor
from rnncli.show.layout import wrap_command
from rnncli.show.page import View
from rnncli.show.wording import typed

STEPS = [step.topics[0] for step in lesson.steps()]
"""Each step by its first topic, which stays when a step is added before it."""
ASKING = [step.topics[0] for step in lesson.steps() if "question" in step.en]
"""Steps that end with a question."""
GRADIENTS = "gradients"
"""The step whose numbers are not what its command prints: Keras computes them in float32."""
UNLIKE_KERAS = ("note", "shapes", "gates", "gru", "masks", "stateful", "gradients", "windows")
"""Steps that show something else than the tensors of their lines of Keras."""
VIEW = View(width=80)
KOREAN = VIEW._replace(lang="ko")


def find_step(topic: str) -> lesson.Step:
    step = lesson.find(topic)
    assert step is not None
    return step


def observation_of(topic: str, view: View = VIEW) -> Observation:
    return observe(find_step(topic), view)


def page(topic: str, **view: Any) -> str:
    return str(drawn(TourAnswer((find_step(topic),)), **{"width": 80, **view}))


def words_of(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))[1:]


@pytest.mark.parametrize(
    ("name", "view"), [("tour_80.txt", {}), ("tour_60_ko.txt", {"lang": "ko", "width": 60})]
)
@pytest.mark.slow
def test_the_lesson_looks_as_it_should(name: str, view: dict[str, Any]) -> None:
    look = {"width": 80, **view}
    text = drawn(TourAnswer(lesson.steps()), **look)
    assert matches_golden("tour", name, text)
    assert all(columns_of(line) <= look["width"] for line in text.splitlines())


@pytest.mark.parametrize("width", [40, 60])
def test_a_command_is_broken_between_its_flags_as_a_shell_allows(width: int) -> None:
    commands = [command for step in lesson.steps() for command in step.commands]
    broken = [wrap_command(command, width) for command in commands]
    for command, lines in zip(commands, broken, strict=True):
        assert words_of("\n".join(lines)) == words_of(command)
        assert all(re.match("  (-|'?\\[)", line) for lines in broken for line in lines[1:])
    assert max(len(line) for lines in broken for line in lines) <= max(width, 52)
    assert any(len(lines) > 2 for lines in broken)


@pytest.mark.parametrize("format", ["html", "markdown"])
def test_a_step_in_other_formats(format: str) -> None:
    step = TourAnswer((find_step("backward_state"),))
    assert matches_golden("tour", f"step_8.{format}", drawn(step, format))


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.slow
def test_the_whole_lesson_as_html_and_as_markdown(lang: str) -> None:
    """A heading for each step, its commands as code, its answer hidden until it is asked for."""
    steps = lesson.steps()
    html = drawn(TourAnswer(steps), "html", lang=lang)
    assert re.findall('<h2 id="(.*?)">', html) == [step.topics[0] for step in steps]
    assert html.count("<details><summary>") == html.count("</details>") == len(ASKING)
    assert f"<title>{lesson.say('lesson', lang)}</title>" in html
    text = drawn(TourAnswer(steps), "markdown", lang=lang)
    assert text.startswith(f"# {lesson.say('lesson', lang)}\n\n## ")
    assert len(re.findall("^## ", text, re.MULTILINE)) == len(steps)
    assert text.count("<details>") == len(ASKING)
    for step in steps:
        script = step.localized(lang)
        assert f"```python\n{script.keras}\n```" in text
        assert all(f"```shell\n{typed(command, lang)}\n```" in text for command in script.commands)
    bold = re.findall(r"(?<!\\)\*\*(.*?)\*\*", text)
    assert [words for words in bold if words != words.strip()] == []  # stars beside a blank are not bold


def test_each_topic_finds_its_step() -> None:
    topics = [(topic, step) for step in lesson.steps() for topic in (str(step.number), *step.topics)]
    assert len({topic for topic, _ in topics}) == len(topics)
    assert all(lesson.find(topic) is step for topic, step in topics if topic != "None")
    assert lesson.find("Return-Sequences") is find_step("return_sequences")
    assert lesson.find("초기상태") is find_step("initial_state")
    assert lesson.find(str(len(STEPS) - 1)) is None
    assert [step.topics[0] for step in lesson.steps()[:3]] == ["note", "shapes", "simple_rnn"]
    assert find_step("0").topics[0] == "shapes"


@pytest.mark.slow
def test_the_lesson_takes_twenty_minutes_and_its_short_way_ten() -> None:
    """At 200 words or numbers of a page a minute, and ten seconds to think about each question."""
    minutes = [
        len(re.findall(r"[^\W_][\w.]*", page(step.topics[0]))) / 200 + ("question" in step.en) * 10 / 60
        for step in lesson.steps()
    ]
    assert 15 < sum(minutes) <= 20
    assert 5 < sum(taken for step, taken in zip(lesson.steps(), minutes, strict=True) if step.short) <= 10


@pytest.mark.slow
def test_the_short_way_is_marked(rnncli: Run) -> None:
    """In every step, in the list, and said on the first page."""
    short = [step.number for step in lesson.steps() if step.short]
    whole = rnncli("tour").stdout
    last = lesson.steps()[-1].number
    marked = re.findall(rf"^step (\d+) \(0 to {last}\) \* · ", whole, re.MULTILINE)
    assert list(map(int, marked)) == short[1:]
    assert whole.splitlines()[3] == "to begin with * · a layer that keeps a note"
    assert "\nTwenty minutes; ten if you take only the steps marked *.\n" in whole
    assert (
        "\n20분 수업입니다. * 표시가 있는 단계만 보면 10분입니다.\n" in rnncli("tour", "--lang", "ko").stdout
    )
    rows = rnncli("tour", "--list").stdout.splitlines()
    assert [row.split()[0] for row in rows if " * " in row] == ["*", *map(str, short[1:])]
    listed = json.loads(rnncli("tour", "--list", "-f", "json").stdout)["steps"]
    assert [step["number"] for step in listed if step["short"]] == short


@pytest.mark.slow
def test_what_the_steps_say_of_keras_runs_in_keras(rnncli: Run) -> None:
    """Each name on the left gets a tensor of the shape that the step shows."""
    import keras
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(0).normal(size=(1, 4, 5)), tf.float32)
    series = np.arange(1, 7, dtype="float32")
    for step in lesson.steps():
        names: dict[str, Any] = {**vars(keras), **vars(keras.layers), "keras": keras, "tf": tf, "x": x}
        names |= {"tokens": np.array([[1, 2, 0, 0]]), "y": np.zeros((1, 3)), "series": series}
        exec(step.keras, names)
        if step.topics[0] not in UNLIKE_KERAS:
            *_, last = re.findall(r"^([a-z, ]+) = ", step.keras, re.MULTILINE)
            shown = [tensor.values.shape for tensor in observation_of(step.topics[0]).outputs[-1]]
            assert [tuple(names[name].shape) for name in last.split(", ")] == shown, step.keras
    windows = [
        (window[:, 0].tolist(), target) for window, target in names["windows"].unbatch().as_numpy_iterator()
    ]
    assert windows == [([1, 2, 3], 4), ([2, 3, 4], 5), ([3, 4, 5], 6)]


def test_every_observation_has_its_step() -> None:
    assert {step.observation for step in lesson.steps()} == set(OBSERVATIONS)


@pytest.mark.parametrize(
    ("topic", "lang"),
    [(topic, "en") for topic in STEPS if topic not in ("shapes", GRADIENTS)]
    + [(step.topics[0], "ko") for step in lesson.steps() if step.commands_ko],
)
def test_each_command_returns_what_the_step_shows(topic: str, lang: str, rnncli: Run, tmp_path: Path) -> None:
    commands = find_step(topic).localized(lang).commands
    outputs = observation_of(topic, KOREAN if lang == "ko" else VIEW).outputs
    assert len(commands) == len(outputs)
    for command, shown in zip(commands, outputs, strict=True):
        words = words_of(command)
        saved = "-o" in words
        done = rnncli(*words, *([] if saved else ["-f", "json"]), cwd=tmp_path).success()
        printed = numbers_in(json.loads((tmp_path / words[-1]).read_text() if saved else done.stdout))
        for tensor in shown:
            np.testing.assert_array_equal(printed[tensor.name], at_unit(tensor, words), err_msg=tensor.name)


def numbers_in(document: dict[str, Any]) -> dict[str, Any]:
    """Return every array of a document of run or trace, by the name that the lesson gives it."""
    if "trace" in document:
        steps = document["trace"]
        gates = {gate: [step["gates"][gate]["activation"] for step in steps] for gate in steps[0]["gates"]}
        states = {state: [step["state"][state] for step in steps] for state in steps[0]["state"]}
        return {
            name: np.array(values, np.float32).swapaxes(0, 1) for name, values in (gates | states).items()
        }
    if "calls" in document:
        return {
            f"call {number}/{tensor['name'].split('/')[-1]}": np.array(tensor["values"], np.float32)
            for number, call in enumerate(document["calls"], 1)
            for tensor in call["outputs"]
        }
    return {tensor["name"]: np.array(tensor["values"], np.float32) for tensor in document["outputs"]}


def at_unit(tensor: NamedTensor, words: list[str]) -> Any:
    unit = int(words[words.index("--unit") + 1]) if "--unit" in words else None
    return tensor.values if unit is None else tensor.values[..., unit : unit + 1]


@pytest.mark.slow
def test_norms_of_gradients_are_those_of_keras(rnncli: Run) -> None:
    """Keras computes in float32, the lesson in float64."""
    (command,) = find_step(GRADIENTS).commands
    done = rnncli(*words_of(command), "--engine", "tensorflow", "-f", "json")
    layers = json.loads(done.stdout)["layers"]
    (shown,) = observation_of(GRADIENTS).outputs
    for layer, tensor in zip(layers, shown, strict=True):
        (curve,) = (curve for curve in layer["curves"] if curve["part"] == "input")
        assert layer["expression"].startswith(tensor.name.split("/")[0])
        np.testing.assert_allclose(tensor.values, curve["norms"], rtol=1e-4)


def test_the_biases_are_why_the_lstm_keeps_more_of_the_gradient_than_the_gru() -> None:
    """Without its bias of 1 the LSTM keeps as little as the GRU; with one the GRU keeps far more."""

    def share_left(layer: str) -> float:
        norms = measure_norms(f"rnncli run -l {shlex.quote(layer)} --input-shape 1,30,4 --seed 7")
        return float(norms[0] / norms[-1])

    facts = {name: float(str(fact)) for name, fact in observation_of(GRADIENTS).facts.items()}
    for layer in ("SimpleRNN", "LSTM", "GRU"):
        assert facts[layer] == pytest.approx(share_left(f"{layer}(3)"), rel=0.02)
    assert facts["GRU"] < facts["SimpleRNN"] < facts["LSTM"] / 1000
    assert (facts["forget"], facts["update"]) == pytest.approx(
        (0.73, 0.5), abs=0.05
    )  # sigmoid(1), sigmoid(0)
    assert share_left("LSTM(3, unit_forget_bias=False)") < facts["LSTM"] / 1000
    assert share_left("GRU(3, bias_initializer='ones')") > facts["GRU"] * 1000


@pytest.mark.parametrize("topic", STEPS)
def test_what_is_marked_as_equal_is_equal(topic: str) -> None:
    for outputs in observation_of(topic).outputs:
        by_name = {tensor.name: tensor for tensor in outputs}
        for addresses in drawing.find_equal_rows(outputs):
            rows = [row_at(by_name[address.name], address) for address in addresses]
            assert len(rows) > 1
            assert all(np.array_equal(row, rows[0]) for row in rows)


def row_at(tensor: NamedTensor, address: drawing.RowAddress) -> Any:
    row = tensor.values[0] if address.row is None else tensor.values[0, address.row]
    return row[address.start : address.stop]


def test_nothing_is_marked_if_the_numbers_differ() -> None:
    def tensor(name: str, shape: tuple[int, ...], *equals: str) -> NamedTensor:
        axes = ("batch", "timesteps", "units") if len(shape) == 3 else ("batch", "units")
        return NamedTensor(
            parse_label(name),
            axes,
            np.arange(np.prod(shape), dtype=np.float32).reshape(shape),
            tuple(map(claim, equals)),
        )

    sequence = tensor("hidden_states", (1, 2, 3))
    different = (sequence, tensor("last_hidden_state", (1, 3)))
    claimed = (sequence, tensor("last_hidden_state", (1, 3), "hidden_states[:, -1, :]"))
    assert drawing.find_equal_rows(different) == []
    assert drawing.find_equal_rows(claimed) == [
        [drawing.RowAddress("hidden_states", 1, 0, 3), drawing.RowAddress("last_hidden_state", None, 0, 3)]
    ]


def test_both_kinds_of_gru_agree_at_first_only_while_the_biases_are_0() -> None:
    """As the lesson and the page of help say."""

    def first_row(flags: str) -> Any:
        command = f"rnncli run -l gru --return-sequences --seed 7 {flags}"
        return lesson.run_line(command).outputs[0].values[0, 0]

    assert np.array_equal(first_row(""), first_row("--no-reset-after"))
    ones = "--bias-initializer constant:0.1"
    assert not np.allclose(first_row(ones), first_row(f"{ones} --no-reset-after"), atol=1e-3)
    for topic, lang, said in (
        ("reset_after", "en", "so are the biases of a new layer"),
        ("reset_after", "ko", "새 층은 편향도 0"),
    ):
        assert said in " ".join(page(topic, lang=lang).split())
        assert said in " ".join(handbook.read(topic, lang).split())
        assert ones in handbook.read(topic, lang)


def test_masked_rows_are_those_of_the_mask() -> None:
    """The same input without the mask stands beside them, and differs from there on."""
    masked = [line.split("t=")[1][0] for line in page("masks").splitlines() if "  masked  " in line]
    assert masked == ["3"]
    (with_mask,), (without,) = observation_of("masks").outputs
    assert np.array_equal(with_mask.values[0, 2], with_mask.values[0, 3])
    for time in range(6):
        assert np.array_equal(with_mask.values[0, time], without.values[0, time]) == (time < 3)
    assert without.values[0, -1, 0] < -0.9 < 0.9 < with_mask.values[0, -1, 0]


def test_what_the_trained_steps_say_is_so() -> None:
    """The gates let go where the texts say so, and the experiments end as they say."""
    note = {name: float(str(fact)) for name, fact in observation_of("note").facts.items()}
    assert note["kept"] > 0.99
    assert note["button"] + note["bias"] > 3 > 0 > note["bias"]
    assert (note["before"], note["dragged"], note["held"]) == pytest.approx((0.4, -0.35, 0), abs=0.05)
    review = {name: float(str(fact)) for name, fact in observation_of("gates").facts.items()}
    assert review["update"] < 0.01 < 0.9 < review["kept"]
    assert (review["candidate"], review["held"]) == pytest.approx((-1, 1), abs=0.1)
    korean = {name: float(str(fact)) for name, fact in observation_of("gates", KOREAN).facts.items()}
    assert korean["update"] < 0.01
    assert (korean["before"], korean["candidate"], korean["held"]) == pytest.approx((1, -1, 1), abs=0.1)
    masks = {name: float(str(fact)) for name, fact in observation_of("masks", KOREAN).facts.items()}
    assert (masks["masked"], masks["whole"]) == pytest.approx((1, -1), abs=0.1)
    bank = {name: float(str(fact)) for name, fact in observation_of("bidirectional").facts.items()}
    assert (bank["forward"], bank["first"], bank["second"]) == pytest.approx((0, 1, -1), abs=0.1)


@pytest.mark.parametrize("topic", STEPS)
def test_every_text_is_in_both_languages_and_its_holes_are_filled(topic: str) -> None:
    step, facts = (
        find_step(topic),
        {"en": observation_of(topic).facts, "ko": observation_of(topic, KOREAN).facts},
    )
    assert list(step.en) == list(step.ko)
    assert list(step.en)[:2] == ["title", "asks"]
    assert set(step.en) <= {"title", "asks", "notice", "look", "try", "question", "answer"}
    assert ("question" in step.en) == ("answer" in step.en)
    check_translated(step.en, step.ko, same_holes=not step.commands_ko)  # other commands have other numbers
    for lang in ("en", "ko"):
        assert not re.search(r"[{}]", "".join(lesson.fill(step, lang, facts[lang]).values()))
        assert not re.search(r"[{}]", page(topic, lang=lang))


def test_every_word_is_in_both_languages() -> None:
    words = lesson.read("lesson.toml")["words"]
    check_translated(*({key: word[lang] for key, word in words.items()} for lang in ("en", "ko")))


def test_document() -> None:
    step = TourAnswer((find_step("both"),)).document(View())["steps"][0]
    assert list(step) == [
        "number", "title", "asks", "topics", "short", "keras", "commands", "notice", "question", "answer",
    ]  # fmt: skip
    assert step["commands"][0]["outputs"][1]["equals"] == ["hidden_states[:, -1, :]"]


def test_records_and_tensors_name_the_step() -> None:
    answer = TourAnswer((find_step("both"), find_step("stateful")))
    header, rows = answer.records(View())
    assert header == ("step", "command", "name", "batch", "timestep", "unit", "value")
    both, stateful = find_step("both").number, find_step("stateful").number
    assert {row[0] for row in rows} == {both, stateful}
    assert list(answer.tensors())[:3] == [
        f"step {both}/hidden_states",
        f"step {both}/last_hidden_state",
        f"step {stateful}/command 0/hidden_state",
    ]


@pytest.mark.slow
def test_a_pipe_gets_everything(rnncli: Run) -> None:
    plain, piped = rnncli("tour", "--plain"), rnncli("tour")
    assert plain.stdout == piped.stdout
    assert plain.stdout.count("\nAnswer: ") == len(ASKING)
    assert piped.stderr == ""


def test_one_step(rnncli: Run) -> None:
    number = str(find_step("backward_state").number)
    for words in (["--step", number], [number], ["backward_state"], ["Backward-State"]):
        assert rnncli("tour", *words, "--lang", "ko").stdout == page("backward_state", lang="ko")


@pytest.mark.slow
def test_a_step_names_the_page_of_the_handbook_on_its_topic(rnncli: Run) -> None:
    named = re.findall(r"^more: (.*)", rnncli("tour").stdout, re.MULTILINE)
    pages = ("basics", "shapes", *handbook.SECTIONS["Six things to understand"], "inside", "gradients")
    assert sorted(named) == sorted(f"rnncli help {page}" for page in pages)
    assert rnncli("tour", "masks").stdout.endswith("\nmore: rnncli help masks\n")


def test_the_list_of_steps(rnncli: Run) -> None:
    rows = rnncli("tour", "--list").stdout.splitlines()[1:]
    assert all(step.topics[0] in row.split()[:3] for row, step in zip(rows, lesson.steps(), strict=True))
    assert max(map(len, rows)) <= 80
    assert "마스크: 건너뛰는 시점" in rnncli("tour", "--list", "--lang", "ko").stdout
    listed = json.loads(rnncli("tour", "--list", "-f", "json").stdout)["steps"]
    assert listed[STEPS.index("masks")]["topics"][:2] == ["masks", "masking"]
