"""What rnncli.run and its companions give back in Python: arrays by name, and the command line's tables."""

import copy
import csv
import inspect
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run_program
from rich.console import Console

import rnncli
from rnncli import api
from rnncli.api._values import InputOptions, LayerOptions, RunOptions, ViewOptions
from rnncli.ask import INPUT_OPTIONS, LAYER_OPTIONS, RUN_OPTIONS, Ask
from rnncli.cli import catalog
from rnncli.cli.app import main
from rnncli.commands import run
from rnncli.commands.checks import read_checks
from rnncli.errors import DisagreementError, InputError, RnncliError, UsageError
from rnncli.options import entries, names

BOTH: dict[str, Any] = {"return_sequences": True, "return_state": True}
NAMES = ("hidden_states", "last_hidden_state", "last_cell_state")


def printed(capsys: pytest.CaptureFixture[str], keywords: set[str], *args: str) -> str:
    sample = [] if {"inputs", "input_shape"} & keywords else ["sentence"]
    assert main(["run", *sample, *args, "--quiet"]) == 0
    return capsys.readouterr().out


def test_without_arguments_the_sample_with_a_seed_that_repeats_it() -> None:
    first, second = rnncli.run(), rnncli.run()
    assert first.input_shape == (1, 4, 5)
    assert first.seed != second.seed
    np.testing.assert_array_equal(rnncli.run(seed=first.seed).hidden_state, first.hidden_state)


def test_tensors_by_name_by_attribute_and_in_the_order_of_keras() -> None:
    result = rnncli.run(seed=42, **BOTH)
    sequence, hidden, cell = result
    assert len(result) == 3
    assert result.keys() == NAMES
    for array, name in zip((sequence, hidden, cell), NAMES, strict=True):
        assert array is result[name]
        assert array is getattr(result, name)
    assert result[-1] is cell
    assert dict(result)["last_cell_state"] is cell
    assert "last_cell_state" in result
    assert "cell" not in result
    assert set(NAMES) <= set(dir(result))
    np.testing.assert_array_equal(sequence[:, -1], hidden)


def test_a_name_that_is_not_there_is_told_which_one_is() -> None:
    result = rnncli.run(seed=1)
    with pytest.raises(KeyError, match="Did you mean hidden_state"):
        result["hidden_states"]
    with pytest.raises(AttributeError, match="Did you mean hidden_state"):
        result.hidden_states  # noqa: B018
    with pytest.raises(TypeError, match="Did you mean units"):
        rnncli.run(unit=3)  # type: ignore[call-arg] # the mistake that the error is about


def test_a_gate_of_a_trace_has_a_short_name() -> None:
    found = rnncli.trace(layer="lstm", seed=1)
    assert found.to_dict()["output/layer"] is found["output/layer"]
    assert [*found.to_dict()] == [*found]
    np.testing.assert_array_equal(found["forget"], found["forget/activation"])
    with pytest.raises(KeyError, match="Did you mean forget"):
        found["forgot"]
    both = rnncli.trace(layer="bilstm", seed=1)
    np.testing.assert_array_equal(both["backward/forget"], both["backward/forget/activation"])
    with pytest.raises(KeyError, match=r"Name one: forward/forget, backward/forget\."):
        both["forget"]


def test_a_trace_says_which_time_steps_were_read() -> None:
    ways = {"forward": [0, 1, 2, 3], "backward": [3, 2, 1, 0]}
    assert rnncli.trace(layer="bilstm", seed=1).timesteps == ways
    assert rnncli.trace(layer="gru", go_backwards=True).timesteps == {"backward": [3, 2, 1, 0]}
    assert rnncli.trace(layer="bigru", step=[0, -1]).timesteps == {"forward": [0, 3], "backward": [3, 0]}
    stack = rnncli.trace(layer=["bilstm", "gru"]).timesteps
    assert list(stack) == ["0/forward", "0/backward", "1/forward"]
    assert rnncli.shape(layer="gru").timesteps == {}


NAMESAKES = """
name = "Namesakes"
states = ["hidden"]
[step]
status = "sigmoid(x @ kernel)"
timestep = "sigmoid(hidden @ recurrent_kernel)"
hidden = "status * timestep"
"""


@pytest.mark.parametrize(("layer", "name", "meant"), [
    ("lstm", "output", "output/activation, output/layer"),
    ("bilstm", "backward/output", "backward/output/activation, backward/output/layer"),
    ("@namesakes.toml", "status", "status/activation, status/layer"),
    ("@namesakes.toml", "timestep", "timestep/activation, timestep/layer"),
])  # fmt: skip
def test_a_name_of_two_arrays_of_a_trace_is_refused(layer: str, name: str, meant: str, here: Path) -> None:
    Path("namesakes.toml").write_text(NAMESAKES)
    found = rnncli.trace(layer=layer, seed=1)
    with pytest.raises(KeyError, match=f"there are two arrays '{name}'. Name one: {meant}\\."):
        found[name]
    gate, of_layer = (found[key] for key in meant.split(", "))
    np.testing.assert_array_equal(gate, found.tensors()[f"{name}/activation"])
    np.testing.assert_array_equal(of_layer, found.tensors()[name])


def test_a_name_of_two_arrays_in_each_direction_is_told_all_four() -> None:
    ways = ("forward", "backward")
    meant = ", ".join(f"{way}/output/{end}" for way in ways for end in ("activation", "layer"))
    with pytest.raises(KeyError, match=f"there is no array 'output'. Name one: {meant}\\."):
        rnncli.trace(layer="bilstm", seed=1)["output"]


def test_the_lesson_has_its_steps_by_topic_and_number() -> None:
    masks = rnncli.tour("masks")
    assert str(masks).startswith("step 12 (0 to 17)")
    assert str(rnncli.tour(step=12)) == str(rnncli.tour(12)) == str(masks)
    assert masks["step 12/command 0/hidden_states"].shape == (1, 6, 1)
    assert "마스크" in str(rnncli.tour("masks", lang="ko"))
    assert "masks" in masks._repr_html_()
    assert len(rnncli.tour().found) == 19
    with pytest.raises(rnncli.UsageError, match="no step is about 'maskz'"):
        rnncli.tour("maskz")
    with pytest.raises(rnncli.UsageError, match="both a topic and a step"):
        rnncli.tour("masks", step=12)


@pytest.mark.slow
def test_a_notebook_shows_every_number_of_a_short_trace_in_tables_that_fit() -> None:
    short, long = (rnncli.trace(layer="lstm", units=units, seed=1) for units in (3, 128))
    numbers = re.findall(r"> *(-?\d\.\d{4})<", short._repr_html_())
    assert len(numbers) >= 6 * 4 * 3
    assert short._repr_html_().count('<table class="said">') == 3
    assert len(long._repr_html_()) < 20_000


@pytest.mark.slow
def test_a_plot_is_a_picture_in_a_notebook_and_characters_in_print(tmp_path: Path) -> None:
    picture = rnncli.plot(layer="gru", seed=1, size=(7, 4), hold="update=1", gate="update", steps="1:3")
    png, metadata = picture._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert metadata == {"width": 700}
    assert "update gate" in str(picture)
    assert repr(picture) == "<rnncli.plot GRU(3)>"
    assert [str(one) for one in picture.remarks][:1] == [
        "no input given: using the built-in sample 'sentence' (1, 4, 5); "
        "give a file, a pipe, or text: rnncli run '[[[1,2],[3,4]]]'"
    ]
    picture.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == picture.render("svg")
    with pytest.raises(rnncli.UsageError, match=r"plot cannot write \.gif"):
        picture.save(tmp_path / "a.gif")


@pytest.mark.parametrize(("keywords", "said"), [
    ({"size": "big"}, "size='big': this is not a width and height"),
    ({"size": (1, 1)}, "is too small for this picture"),
    ({"style": "pink"}, "style is 'pink'"),
    ({"style": "dark", "theme": "light"}, "style='dark' and theme='light' cannot be combined"),
    ({"batch": [0, 1]}, "batch is \\[0, 1\\]"),
    ({"steps": 9}, "no time step is selected"),
])  # fmt: skip
def test_a_plot_that_cannot_be_drawn(keywords: Any, said: str) -> None:
    with pytest.raises(rnncli.RnncliError, match=said):
        rnncli.plot(seed=1, **keywords).render()


def test_what_a_tensor_equals_is_a_value_whose_text_the_document_has() -> None:
    result = rnncli.run(layer="LSTM(3, return_sequences=True, return_state=True)", seed=1)
    texts = [[str(claim) for claim in tensor.equals] for tensor in result.outputs]
    assert texts == [[], ["hidden_states[:, -1, :]"], []]
    assert [list(tensor["equals"]) for tensor in result.document()["outputs"]] == texts


def test_a_result_is_copied() -> None:
    result = rnncli.run(seed=1)
    for other in (copy.copy(result), copy.deepcopy(result)):
        np.testing.assert_array_equal(other.hidden_state, result.hidden_state)


def everything() -> dict[str, Any]:
    """Return a result of every function."""
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    names = ("shape", "matrix", "trace", "gradients", "compare", "plot", "weights")
    stored = rnncli.run(x, "gru", seed=1, return_sequences=True)
    reports = {
        name: getattr(rnncli, name)(x, "gru", units=3, **SEEDED.get(name, {"seed": 1})) for name in names
    }
    return {
        **reports,
        "run": stored,
        "explain": rnncli.explain("hidden_state[0,0]", x, "gru", seed=1),
        "export": rnncli.export(x, "gru", to="numpy", seed=1),
        "port": rnncli.port(x, "gru", weights=stored.weights, expect=stored[0]),
        "why": rnncli.why("expected ndim=3, found ndim=2. Full shape received: (1, 60)"),
        "tour": rnncli.tour("masks"),
    }


SEEDED: dict[str, dict[str, Any]] = {"shape": {}, "matrix": {}}
COLUMNS = {
    "run": ["name", "batch", "timestep", "unit", "value"],
    "trace": ["layer", "direction", "timestep", "batch", "status", "unit", "quantity", "value"],
    "shape": ["kind", "name", "shape", "parameters"],
}


@pytest.mark.slow
def test_every_result_is_pickled_copied_saved_and_a_table(tmp_path: Path) -> None:
    for name, result in everything().items():
        for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
            assert (repr(other), str(other)) == (repr(result), str(result)), name
        if name in ("plot", "export"):
            continue
        table = result.to_dataframe()
        result.save(tmp_path / f"{name}.csv")
        with (tmp_path / f"{name}.csv").open(newline="") as file:
            heading, *rows = csv.reader(file)
        assert [*table.columns] == heading == COLUMNS.get(name, heading), name
        assert len(table) == len(rows), name


def test_a_table_has_the_numbers_in_their_dtype() -> None:
    for dtype in ("float32", "float64"):
        result = rnncli.run(layer="LSTM(3, return_sequences=True, return_state=True)", seed=1, dtype=dtype)
        table = result.to_dataframe()
        assert table["value"].dtype == dtype
        rows = table[table["name"] == "hidden_states"]
        np.testing.assert_array_equal(rows["value"].to_numpy().reshape(1, 4, 3), result.hidden_states)
        assert table["timestep"].isna().sum() == 6
        assert list(result.to_dict()) == list(NAMES)
    broken = rnncli.run(np.full((1, 2, 3), np.nan), "gru", seed=1).to_dataframe()
    assert broken["value"].isna().all()


def test_parameters_are_counted_as_keras_counts_them() -> None:
    assert rnncli.shape(input_shape=(1, 4, 5), layer="LSTM(3)").parameters == 108
    assert rnncli.shape(input_shape="batch,None,8", layer="gru", units=4).parameters == 168
    assert rnncli.shape(input_shape=("a", "b", None), layer="gru").parameters is None
    assert rnncli.matrix(seed=1).parameters is None


USERS_CODE = """
import numpy as np
import rnncli

x = np.ones((1, 4, 3), "float32")
result = rnncli.run(x, "lstm", seed=1, weights={"kernel": x}, lengths=[4], expect=[x, x])
arrays: dict[str, np.ndarray] = result.to_dict()
count: int | None = rnncli.shape(x, "lstm").parameters
report: rnncli.Report = rnncli.weights({"kernel": x}, to="torch")
report.save("w.pt")
script: rnncli.ExportedFile = rnncli.export(x, "lstm", to="numpy")
text: str = str(script)
found: rnncli.Report = rnncli.port(x, weights=[x], expect=(x, (x, x)), atol=1e-5)
if not found.agrees:
    raise rnncli.InputError("no")
frame = result.to_dataframe()
"""


@pytest.mark.slow
def test_a_users_code_holds_under_mypy_strict(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    (tmp_path / "good.py").write_text(USERS_CODE)
    (tmp_path / "bad.py").write_text("import rnncli\nrnncli.export(to='java')\nrnncli.weights(too='keras')\n")
    cache = ["--strict", "--cache-dir", str(tmp_path), "--follow-imports=silent", "--python-version", "3.11"]
    out, _, code = api.run([*cache, str(tmp_path / "good.py")])
    assert code == 0, out
    out, _, code = api.run([*cache, str(tmp_path / "bad.py")])
    assert out.count("error:") >= 2, out


def test_the_keywords_are_those_of_the_table() -> None:
    groups = (InputOptions, INPUT_OPTIONS[1:]), (LayerOptions, LAYER_OPTIONS), (RunOptions, RUN_OPTIONS)
    for group, listed in groups:
        assert tuple(group.__annotations__) == listed
    assert set(ViewOptions.__annotations__) < {one.name for one in entries("run") if one.goes == "output"}


def test_every_option_of_run_has_its_place() -> None:
    own = [entry.name for entry in entries("run") if not entry.goes]
    taken = {*inspect.signature(run.run).parameters, *inspect.signature(read_checks).parameters}
    assert taken == {"ask", "output", "progress", "given", "format_name", "command", *own}
    assert {*names("ask")} <= {*Ask._fields}


NOT_IN_PYTHON = ("input", "stream", "keep_going", "output", "terminal", "quiet")
"""Options that say where the command line reads and writes."""


@pytest.mark.parametrize(
    "name", ["run", "trace", "explain", "gradients", "compare", "matrix", "shape", "plot", "export", "port"]
)
def test_a_function_has_the_options_of_its_command(name: str) -> None:
    parameters = inspect.signature(getattr(rnncli, name)).parameters
    table = {entry.name: entry for entry in entries(name) if entry.goes != "output"}
    table = {name: entry for name, entry in table.items() if name not in NOT_IN_PYTHON}
    assert {*table, "inputs"} <= set(parameters)
    own = {name: entry for name, entry in table.items() if name in parameters and not entry.goes}
    defaults = {name: parameters[name].default for name in own}
    for found, entry in zip(defaults.values(), own.values(), strict=True):
        assert found in (entry.default, (), inspect.Parameter.empty)


@pytest.mark.parametrize(("keywords", "args"), [
    ({"units": 2, "return_state": True}, ["--units", "2", "--return-state"]),
    ({"layer": "bilstm", "merge_mode": "sum"}, ["-l", "bilstm", "--merge-mode", "sum"]),
    ({"layer": ["gru", "lstm"], "all_layers": True}, ["-l", "gru", "-l", "lstm", "--all-layers"]),
    ({"input_shape": (2, 3, 4), "fill": "arange"}, ["--input-shape", "2,3,4", "--fill", "arange"]),
    ({"inputs": "ragged", "pad": "pre"}, ["ragged", "--pad", "pre"]),
    ({"inputs": "sensors", "batch_column": "sensor"}, ["sensors", "--batch-column", "sensor"]),
    ({"inputs": "case"}, ["case"]),
    ({"kernel_initializer": "constant:0.1"}, ["--kernel-initializer", "constant:0.1"]),
    ({"use_bias": False, "go_backwards": True}, ["--no-use-bias", "--go-backwards"]),
    ({"stats": True, "lang": "ko", "precision": 2}, ["--stats", "--lang", "ko", "--precision", "2"]),
    ({"select": "last_cell_state", "return_state": True}, ["--select", "last_cell_state", "--return-state"]),
])  # fmt: skip
def test_prints_the_table_of_the_command_line(
    keywords: dict[str, Any], args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    seeded: dict[str, Any] = {"seed": 7} if keywords.get("inputs") != "case" else {}
    table = printed(capsys, set(keywords), *args, *(["--seed", "7"] if seeded else []))
    assert f"{rnncli.run(**keywords, **seeded)}\n" == table


def test_rich_draws_the_same_table_in_its_own_width() -> None:
    result = rnncli.run(seed=42, **BOTH)
    for width in (40, 100):
        console = Console(width=width, color_system=None, force_terminal=False)
        with console.capture() as captured:
            console.print(result)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        expected = str(rnncli.run(seed=42, width=width, **BOTH)).splitlines()
        assert lines == expected


def test_a_notebook_gets_tables_and_styles_that_stay_inside() -> None:
    html = rnncli.run(seed=42, **BOTH)._repr_html_()
    assert "<td> 0.2131</td><td>-0.0506</td>" in html
    assert "<html" not in html
    assert "\nbody {" not in html
    assert ":root" not in html
    style = html.partition("<style>")[2].partition("</style>")[0].strip()
    assert re.match(r"(\.rnncli)+ \{", style)
    assert style.endswith("}")


def test_a_notebook_gives_its_own_colors() -> None:
    """Only the notebook knows whether its theme is dark; the browser's setting is another thing."""
    html = rnncli.run(seed=42, **BOTH)._repr_html_()
    assert "color-scheme" not in html
    colors = dict(re.findall(r"--(ink|paper|dim|rule|hidden|cell|alarm): ([^;]*);", html))
    assert colors.pop("paper") == "transparent"
    assert len(colors) == 6
    assert all("currentColor" in color for color in colors.values())


def test_the_styles_of_a_lesson_do_not_reach_the_other_outputs_of_a_notebook() -> None:
    for report, name in ((rnncli.run(seed=42, **BOTH), "rnncli"), (rnncli.tour("masks"), "rnncli-prose")):
        html = report._repr_html_()
        assert html.startswith(f'<div class="{name}"><style>\n{4 * f".{name}"} {{')


def test_the_repr_is_one_short_line() -> None:
    text = repr(rnncli.run(seed=42, **BOTH))
    assert text == (
        "<rnncli.Result LSTM(3, return_sequences=True, return_state=True), seed 42: "
        "hidden_states (1, 4, 3), last_hidden_state (1, 3), last_cell_state (1, 3)>"
    )


@pytest.mark.slow
def test_check_fills_the_differences_and_raises_where_they_are_too_large() -> None:
    assert set(rnncli.run(seed=1, check=True).differences) == {"hidden_state"}
    with pytest.raises(DisagreementError, match="hidden_state"):
        rnncli.run(seed=1, units=64, input_shape=(2, 50, 8), check=True, atol=0.0, rtol=0.0)


@pytest.mark.slow
def test_a_check_is_about_the_selected_tensors() -> None:
    exact = {"last_cell_state": 0.0}
    asked: dict[str, Any] = {**BOTH, "seed": 1, "units": 64, "input_shape": (2, 50, 8)}
    strict: dict[str, Any] = {"check": True, "atol": exact, "rtol": exact}
    rnncli.run(**asked, **strict, select="hidden_states")
    with pytest.raises(DisagreementError) as caught:
        rnncli.run(**asked, **strict)
    assert str(caught.value) == (
        "last_cell_state differs from TensorFlow.\nThe difference is larger than "
        "atol=1e-06, last_cell_state=0 and rtol=1e-05, last_cell_state=0 allow."
    )


def test_files_are_read_as_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n3,4\n")
    (tmp_path / "s.json").write_text("[[0.5, 0.5, 0.5]]")
    result = rnncli.run(tmp_path / "x.csv", "gru", initial_state=str(tmp_path / "s.json"), seed=1)
    np.testing.assert_array_equal(
        result.hidden_state,
        rnncli.run([[1, 2], [3, 4]], "gru", initial_state=[[[0.5] * 3]], seed=1).hidden_state,
    )
    assert "batch axis" in str(result.remarks[0])


def test_a_result_with_states_is_an_initial_state() -> None:
    encoded = rnncli.run(None, "lstm", return_sequences=True, return_state=True, seed=1)
    _, h, c = encoded
    from_result, from_arrays = (
        rnncli.run(None, "lstm", initial_state=states, seed=2) for states in (encoded, [h, c])
    )
    np.testing.assert_array_equal(from_result.hidden_state, from_arrays.hidden_state)
    with pytest.raises(InputError, match="last_hidden_state"):
        rnncli.run(None, "lstm", initial_state=rnncli.run(None, "lstm", seed=1), seed=2)


class TestTheOthers:
    def test_shape_needs_no_numbers(self) -> None:
        report = rnncli.shape(input_shape=("batch", None, 8), layer="gru", units=4)
        assert report.found.outputs[0].shape == ("batch", 4)
        assert "hidden_state  (batch, 4)" in str(report)
        assert rnncli.shape(input_shape="4,5").found.input_shape == (1, 4, 5)

    def test_matrix_has_the_four_results(self) -> None:
        assert len(rnncli.matrix(seed=1).found.results[True, True].outputs) == 3
        with pytest.raises(UsageError, match="return_state"):
            rnncli.matrix(return_state=True)

    def test_a_trace_is_a_mapping_of_its_arrays(self) -> None:
        found = rnncli.trace(layer="lstm", seed=1)
        named = ("output/layer" if name == "output" else name for name in found.tensors())
        assert found.keys() == tuple(found) == tuple(named)
        assert "forget/activation" in found
        assert "forgotten" not in found
        assert len(found) == len(dict(found)) > 0
        assert found
        np.testing.assert_array_equal(dict(found)["cell"], found["cell"])

    def test_a_report_without_arrays_is_true(self) -> None:
        found = rnncli.shape(input_shape="4,5")
        assert found
        assert found.agrees
        with pytest.raises(UsageError):
            found.keys()

    def test_a_comparison_that_fails_is_falsy_and_says_so(self) -> None:
        stored = rnncli.run(layer="LSTM(3, return_state=True)", seed=1)
        wrong = {**{name: stored[name] for name in stored.keys()}, "last_cell_state": stored[0] + 1}  # noqa: SIM118
        options: Any = {"layer": "LSTM(3, return_state=True)", "seed": 1}
        found = rnncli.compare(**options, expect=wrong)
        assert not found
        assert not found.agrees
        assert repr(found).endswith(": differs in last_cell_state>")
        assert rnncli.compare(**options, expect=stored[0], select="hidden_state")
        engines = rnncli.compare(**options, engines=["numpy", "torch"])
        assert engines.agrees
        assert "differs" not in repr(engines)
        assert not rnncli.compare(**options, engines=["numpy", "tensorflow"], atol=0, rtol=0)

    def test_errors_are_there_beside_the_functions(self) -> None:
        from rnncli import DisagreementError, errors

        assert DisagreementError is errors.DisagreementError
        assert all(hasattr(rnncli, name) for name in rnncli.__all__)

    def test_a_command_is_a_function_of_python_or_named_here(self) -> None:
        elsewhere = {"conformance", "engines", "explore", "help", "samples", "schema"}
        functions = {name for name in api.__all__ if name.islower()}
        assert sorted({*catalog.names()} - elsewhere) == sorted(functions)
        assert set(api.__all__) <= set(rnncli.__all__)

    def test_a_trace_of_one_gate_of_one_unit(self) -> None:
        report = rnncli.trace(seed=42, unit=0, gate="forget")
        assert report["forget/activation"].shape == (1, 4, 1)
        assert repr(report) == "<rnncli.trace LSTM(3)>"

    def test_explain_gives_the_number(self) -> None:
        report = api.explain("last_cell_state[0,0]", seed=42)
        np.testing.assert_allclose(report.found.value, 0.3901, atol=1e-4)
        assert json.dumps(report.document()["explanation"]["index"]) == "[0, 0]"
        assert "<table" in report._repr_html_()

    def test_a_trace_is_compared_with_a_stored_one(self, tmp_path: Path) -> None:
        stored = rnncli.trace(seed=1).tensors()
        rnncli.trace(seed=1, expect=stored)
        np.savez(tmp_path / "trace.npz", **stored)
        rnncli.trace(seed=1, expect=tmp_path / "trace.npz")
        stored["cell"][0, 2, 1] += 1
        with pytest.raises(DisagreementError, match=r"cell differs.* \[0, 2, 1\]"):
            rnncli.trace(seed=1, expect=stored)
        with pytest.raises(UsageError, match="without a name"):
            rnncli.trace(seed=1, expect=[1.0])

    def test_why_gives_the_cause_and_fixes_that_ran(self) -> None:
        report = rnncli.why("expected ndim=3, found ndim=2. Full shape received: (1, 60)")
        assert report.found.cause == "rank"
        assert report.document()["candidates"][0]["outputs"][0]["shape"] == [1, 3]
        assert "hidden_state (1, 3)" in str(report)
        assert repr(report) == "<rnncli.why>"
        assert "시점" in str(rnncli.why("expected ndim=3, found ndim=2", lang="ko"))
        with pytest.raises(DisagreementError, match="not known"):
            rnncli.why("it does not work")
        with pytest.raises(UsageError, match="text"):
            rnncli.why("  ")

    def test_an_explanation_has_no_arrays(self) -> None:
        with pytest.raises(RnncliError):
            api.explain("hidden_state[0,0]", seed=1).tensors()


class TestHold:
    """What if: the same numbers as a run whose forget gate is 1 at every step."""

    def test_run_trace_and_explain_hold_the_same_gate(self) -> None:
        held, free = rnncli.run(hold="forget=1", seed=1), rnncli.run(seed=1)
        trace = rnncli.trace(hold=["forget[:, 0]=1", "forget[:, 1:]=1"], seed=1)
        number = rnncli.explain("hidden_state[0,1]", hold="forget=1", seed=1).found
        np.testing.assert_array_equal(trace["hidden"][:, -1], held.hidden_state)
        assert number.value == held.hidden_state[0, 1]
        assert number.without_hold == free.hidden_state[0, 1]
        largest = np.abs(held.hidden_state - free.hidden_state).max()
        assert held.differences["hidden_state"] == pytest.approx(largest)
        assert trace["forget/held"].all()
        assert not rnncli.trace(hold="forget=1@1", seed=1)["forget/held"][0].any()


@pytest.mark.slow
def test_importing_the_package_loads_no_numpy_and_running_no_renderer() -> None:
    program = """
import sys, rnncli
assert "numpy" not in sys.modules
result = rnncli.run(seed=1)
assert not {"rich", "tensorflow", "rnncli.show.formats.html"} & set(sys.modules)
assert isinstance(result, rnncli.Result)
"""
    run_program(program).success()
