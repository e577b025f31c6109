"""The command line itself: help, names, flags and their misspellings."""

import inspect
import json
import platform
import re
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

from rnncli import options
from rnncli.ask import Ask
from rnncli.cli import app, catalog, hints, terminal
from rnncli.cli.catalog import click
from rnncli.cli.flags import fill, load
from rnncli.compute import engines
from rnncli.show.formats import OutputFlags

CONTRACT_FLAGS = """
--input-shape --fill --input-format --input-axes --batch-column --delimiter --pad --pad-value --mask
--mask-value --layer -l --units --return-sequences --no-return-sequences --return-state --go-backwards
--stateful --activation --recurrent-activation --use-bias --no-use-bias --unit-forget-bias
--no-unit-forget-bias --reset-after --no-reset-after --kernel-initializer --recurrent-initializer
--bias-initializer --dropout --recurrent-dropout --training --zero-output-for-mask --dtype
--bidirectional --merge-mode --seed --weights --initial-state --calls --all-layers --format -f --output
-o --select --precision --full --width --lang --quiet --engine --check --atol --rtol
"""


def test_run_has_every_flag_of_the_contract() -> None:
    assert set(CONTRACT_FLAGS.split()) <= {
        name for one in load("run").params for name in (*one.opts, *one.secondary_opts)
    }


@pytest.mark.parametrize("name", catalog.names())
def test_a_command_has_a_line_of_help_and_an_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    assert app.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: rnncli {name}" in shown
    assert f"\n  rnncli {name}" in shown.partition("Examples:")[2]
    assert all(len(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize(
    ("name", "flag"), [("matrix", "return-state"), ("port", "return-state"), ("port", "dtype")]
)
def test_the_help_leaves_refused_flags_out(name: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    app.main([name, "--help"])
    assert flag not in capsys.readouterr().out
    assert app.main([name, f"--{flag}", *(["float32"] if flag == "dtype" else [])]) == 2


def test_flags_stand_under_their_headings(capsys: pytest.CaptureFixture[str]) -> None:
    app.main(["run", "--help-all"])
    every = capsys.readouterr().out
    app.main(["run", "--help"])
    shown = capsys.readouterr().out
    headings = [line for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        "First steps:", "Input:", "Layer:", "Initializers and weights:", "Run:", "Output:", "Options:",
        "More flags, see --help-all:", "Examples:",
    ]  # fmt: skip
    assert len(shown.splitlines()) <= 80  # two screens
    for flag in re.findall(r"--[a-z-]+", shown.partition("More flags")[2].partition("Examples")[0]):
        assert re.search(rf"^  (-\w, )?{flag.replace('--', '--(.no-.)?')}\b", every, re.MULTILINE), flag
    assert shown.index("--units N") > shown.index("First steps:")
    assert "--[no-]return-sequences" in shown


@pytest.mark.parametrize("args", [["--help"], ["-h"]])
def test_help_lists_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(args) == 0
    shown = capsys.readouterr().out
    for heading, commands in catalog.SECTIONS.items():
        assert f"{heading}:" in shown
        assert all(f"\n  {name} " in shown for name in commands)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from rnncli import __version__

    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rnncli {__version__}\n"
    assert app.main(["--version", "no_command"]) == 0


def test_version_as_json_says_what_computes(rnncli: Run) -> None:
    from rnncli import __version__

    for flags in (["--version", "-f", "json"], ["--format", "json", "--version"]):
        said = json.loads(rnncli(*flags).stdout)
        assert (said["version"], said["python"]) == (__version__, platform.python_version())
        assert said["packages"]["numpy"] == metadata.version("numpy")
        assert {row["name"] for row in said["engines"] if row["available"]} == {*engines.ENGINES}


def test_a_format_before_a_command_is_of_the_version(rnncli: Run) -> None:
    said = rnncli("-f", "json", "run").refusal()
    assert "A command's flags come after its name: rnncli run -f json." in said


def test_a_negative_number_is_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.main(["run", "[[[1, -1], [-1, -1]]]", "--mask-value", "-1", "--seed", "1"]) == 0


def test_a_command_gets_the_values_of_its_options() -> None:
    values = {entry.name: entry.default for entry in options.entries("run")}
    found = fill("run", values | {"units": 7, "quiet": True, "stats": True, "layer": ("lstm",)})
    assert found.pop("ask") == Ask(layer=["lstm"], options={"units": 7})
    assert found.pop("output") == OutputFlags(quiet=True)
    own = {entry.name for entry in options.entries("run") if not entry.goes}
    assert (set(found), found["stats"], found["memory"]) == (own, True, None)


def test_what_was_not_given_is_not_there() -> None:
    values = {entry.name: entry.default for entry in options.entries("run")}
    assert fill("run", values)["ask"].given() == {}


@pytest.mark.parametrize("name", catalog.names())
def test_a_command_takes_what_the_table_says(name: str) -> None:
    function = getattr(import_module(f"rnncli.commands.{name}"), name)
    parameters = inspect.signature(function).parameters.values()
    named = {parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD}
    named -= {"progress"}
    entries = options.entries(name)
    expected = {{"options": "ask"}.get(entry.goes, entry.goes) or entry.name for entry in entries}
    if "output" not in named:  # a command that needs none of these
        expected -= {"output"}
    assert named == expected or (named < expected and any(one.kind == one.VAR_KEYWORD for one in parameters))
    assert len({entry.name for entry in entries}) == len(entries)


def test_the_values_have_the_defaults_of_the_table() -> None:
    beside = ("options", "stdin")
    for kind, goes in ((Ask, "ask"), (OutputFlags, "output")):
        fields: dict[str, Any] = {
            name: value for name, value in kind._field_defaults.items() if name not in beside
        }
        assert fields == {entry.name: entry.default for entry in options.OPTIONS if entry.goes == goes}


def test_every_option_of_a_subject_says_which_subjects_take_it() -> None:
    """One that says none would be refused with --model."""
    silent = [
        entry.name for entry in options.OPTIONS if entry.goes in ("ask", "options") and not entry.subjects
    ]
    assert silent == []
    kinds = {kind for entry in options.OPTIONS for kind in entry.subjects}
    assert kinds == {*options.EVERY}


def test_every_option_says_how_python_gives_it_in_one_way() -> None:
    for entry in options.OPTIONS:
        ways = [entry.free, entry.reads, entry.example, entry.python]
        assert sum(map(bool, ways)) <= 1, entry
        assert {*entry.refused} <= {*entry.commands}, entry
        assert {*entry.inputs} <= {"file", "frame", "array", "lines", "shape"}, entry


def test_what_is_given() -> None:
    assert not any(options.is_given(name, entry.default) for name, entry in options.BY_NAME.items())
    assert not any(options.is_given(name, None) for name in options.BY_NAME)
    switches = [entry.name for entry in options.OPTIONS if entry.kind == "switch"]
    assert "training" in switches
    assert all(options.is_given(name, False) for name in switches)
    assert options.is_given("initial_state", np.zeros((2, 3)))
    assert options.is_given("seed", 0)


@pytest.mark.parametrize("name", ["window", "use_bias", "training"])
def test_what_is_only_turned_on_may_stand_in_every_group(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is about the input, the layers or the run, it is not given unless it is typed."""
    table = tuple(
        entry._replace(kind="on", default=False, metavar=None) if entry.name == name else entry
        for entry in options.OPTIONS
    )
    monkeypatch.setattr(options, "OPTIONS", table)
    monkeypatch.setattr(options, "BY_NAME", {entry.name: entry for entry in reversed(table)})
    options.entries.cache_clear()
    try:
        with load("run").make_context("run", [], click.Context(app.app, info_name="rnncli")) as context:
            ask = fill("run", context.params)["ask"]
            assert (ask.given(), ask.options) == ({}, {})
            assert hints.find(context, "en")
    finally:
        options.entries.cache_clear()


def test_any_error_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.delenv("RNNCLI_DEBUG", raising=False)
    monkeypatch.setattr(app, "load", broken)
    assert app.main(["run"]) == 3
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith("rnncli: internal error: ZeroDivisionError: one two\n")
    assert "please report" in streams.err
    assert "Traceback" not in streams.err
    monkeypatch.setenv("RNNCLI_DEBUG", "1")
    assert app.main(["run"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_package_is_no_internal_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    monkeypatch.delitem(sys.modules, "rnncli.show.formats.safetensors", raising=False)
    assert app.main(["run", "sentence", "-o", str(tmp_path / "out.safetensors")]) == 3
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err == "rnncli: safetensors is not installed; rnncli needs it.\npip install safetensors\n"


def test_another_missing_package_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="onnxruntime.capi")

    monkeypatch.setattr(app, "load", fail)
    assert app.main(["run"]) == 3
    assert "internal error: ModuleNotFoundError" in capsys.readouterr().err


@pytest.mark.parametrize(("signal", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_signal_behind_another_error_is_what_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, signal: BaseException, code: int
) -> None:
    def closing(name: str) -> None:
        try:
            raise signal
        finally:
            raise ValueError("it is still open")

    monkeypatch.setattr(app, "load", closing)
    assert app.main(["run"]) == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("error", "code", "message"), [
    (MemoryError(), 2, "rnncli: there is not enough memory for this.\n"),
    (KeyboardInterrupt(), 130, ""),
    (BrokenPipeError(), 0, ""),
])  # fmt: skip
def test_what_ends_a_program_has_its_exit_code(
    error: BaseException,
    code: int,
    message: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr(app, "load", broken)
    monkeypatch.setattr(terminal, "silence_stdout", lambda: None)
    assert app.main(["run"]) == code
    assert capfd.readouterr().err.startswith(message)


@pytest.mark.parametrize("words", [
    "run --seed +3", "run --seed 03", "run --dropout .5", "run --memory 1.5G", "run --hold forget=+1",
    "run --hold forget=1e-3", "run --kernel-initializer constant:-.1",
    pytest.param("run --check --atol 1E-4", marks=pytest.mark.slow),
    "trace --unit -1", "trace --step -2:", "plot --terminal --step 3", "plot --terminal --steps -2:",
])  # fmt: skip
def test_plain_numbers_are_taken(words: str, rnncli: Run) -> None:
    assert rnncli(*words.split()).returncode == 0


def test_help_is_a_word_too(rnncli: Run) -> None:
    assert rnncli("help", "run").stdout == rnncli("run", "--help").stdout


def test_what_engines_says_to_install_is_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", missing)
    notes = {engine.name: str(engine.note) for engine in engines.available()}
    assert notes["onnx"].endswith("pip install onnx onnxruntime")
    assert notes["tensorflow"].endswith("pip install tensorflow keras")
