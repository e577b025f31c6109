"""What to try next: every command that is shown works as it is printed, and only people see it."""

import shlex

import pytest
from command import Run
from hangul import HANGUL
from terminals import in_a_terminal

from rnncli.cli import app, catalog, hints
from rnncli.cli.catalog import click
from rnncli.cli.flags import load
from rnncli.show.visible import width_of

LINES = [
    "run", "run --seed 1 --return-sequences", "run -l lstm --bidirectional --units 2",
    "run -l 'Bidirectional(GRU(2, return_sequences=True))' -l lstm",
    "run -l dense --seed 1", "run '[[[1, 2], [3, 4]]]' --seed 1",
    "run series --seed 1 --no-use-bias --kernel-initializer 'Constant(0.1)'",
    "run sentence --mask-value 0 --stateful --calls 2 --seed 1", "matrix", "trace",
    "trace -l lstm --seed 1 --hold forget=1", "explain 'last_cell_state[0,0]'",
    "explain 'hidden_states[0,3,1]' sentence -l bilstm --return-sequences",
    "shape", "shape --input-shape 2,10,8 -l gru --units 4", "samples",
]  # fmt: skip


def hint(line: str, lang: str = "en") -> str | None:
    command, *words = shlex.split(line)
    program = app.app
    parent = click.Context(program, info_name="rnncli")
    with load(command).make_context(command, words, parent) as context:
        return next(iter(hints.find(context, lang)), None)


@pytest.mark.parametrize("line", LINES)
def test_what_is_suggested_works(line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert app.main(shlex.split(line)) == 0, capfd.readouterr().err
    said = hint(line)
    if said is None:
        assert "dense" in line
        return
    program, *words = shlex.split(said.partition(": ")[2])
    assert program == "rnncli"
    assert app.main(words) == 0, capfd.readouterr().err


@pytest.mark.parametrize(("line", "command"), [
    ("run", "rnncli run --seed 42"),
    ("run -l bilstm", "rnncli matrix --layer bilstm"),
    ("run --seed 1", "rnncli run --seed 1 --return-sequences --return-state"),
    ("run 'a b.csv' --seed 1 --return-state", "rnncli trace 'a b.csv' --return-state --seed 1"),
    ("trace --seed 1", "rnncli trace --seed 1 --hold forget=1"),
    ("shape --input-shape batch,None,8", None),
    ("engines", None),
])  # fmt: skip
def test_the_suggestion_fits_the_command(line: str, command: str | None) -> None:
    said = hint(line)
    assert (said and said.partition(": ")[2]) == command


def test_every_hint_is_shown_after_some_command() -> None:
    shown = {(said or "").partition(": ")[0] for said in map(hint, LINES)}
    every = [hint for each in hints.HINTS.values() for hint in each]
    assert every
    assert {str(one.shows) for one in every} <= shown


@pytest.mark.slow
def test_a_terminal_shows_one_dim_line() -> None:
    shown = in_a_terminal(100, "run", "--seed", "1").splitlines()
    assert shown[-1].startswith("\x1b[2m")
    assert "rnncli run --seed 1 --return-sequences --return-state" in shown[-1]
    assert in_a_terminal(100, "run", "--seed", "1", "--lang", "ko").splitlines()[-1].startswith("\x1b[2m모든")


@pytest.mark.parametrize(("width", "lang", "lines"), [
    (60, "en", ["every gate at every time step: rnncli trace --seed 1"]),
    (45, "en", ["every gate at every time step:", "rnncli trace --seed 1"]),
    (40, "en", ["every gate at every time step:", "rnncli trace --seed 1"]),
    (25, "en", ["every gate at every time", "step:", "rnncli trace --seed 1"]),
    (45, "ko", ["모든 시점의 모든 게이트:", "rnncli trace --seed 1 --lang ko"]),
])  # fmt: skip
@pytest.mark.slow
def test_the_first_hint_that_fits_is_shown_with_its_lead_in(width: int, lang: str, lines: list[str]) -> None:
    shown = in_a_terminal(width, "run", "--seed", "1", "--lang", lang).splitlines()
    assert "\n".join(shown[-len(lines) :]) == "\x1b[2m{}\x1b[0m".format("\n".join(lines))


@pytest.mark.parametrize(
    ("args", "extra"), [(["--quiet"], {}), ([], {"RNNCLI_HINTS": "0"}), (["-f", "json"], {})]
)
@pytest.mark.slow
def test_a_terminal_can_do_without(args: list[str], extra: dict[str, str]) -> None:
    assert "rnncli run" not in in_a_terminal(100, "run", "sentence", "--seed", "1", *args, **extra)


def test_a_pipe_gets_no_hint(rnncli: Run) -> None:
    done = rnncli("run", "sentence", "--seed", "1")
    assert "rnncli run" not in done.stdout + done.stderr


@pytest.mark.parametrize("lang", ["", "--lang ko"])
@pytest.mark.slow
def test_the_name_alone_shows_commands_that_work(rnncli: Run, lang: str) -> None:
    """At most a screen: what it is, what to type, every command by its group, where help is."""
    shown = rnncli(*lang.split()).success().stdout
    lines = shown.splitlines()
    assert len(lines) <= 24
    assert max(map(width_of, lines)) <= 80
    assert {*catalog.names()} <= {*shown.split()}
    commands = [line.split("  ")[1] for line in lines if line.startswith("  rnncli ")]
    assert [command.split()[1] for command in commands] == ["run", "trace", "tour", "--help", "run", "help"]
    for command in commands:
        assert command.endswith(lang)
        done = rnncli(*shlex.split(command)[1:]).success()
        assert not lang or HANGUL.search(done.stdout)
