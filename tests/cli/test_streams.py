"""Streams, files and endings: pipes, closed readers, full disks, interrupts, narrow encodings."""

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import Run
from limits import PATIENCE
from terminals import in_a_terminal

from rnncli.cli import files
from rnncli.errors import UsageError
from rnncli.options import BY_NAME, flag_name

INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"
WIDE = ("run", "--input-shape", "1,2,3", "--fill", "ones", "--units", "40", "--return-sequences", "--full")


def test_a_reader_that_goes_away_ends_it_quietly(shell: Run) -> None:
    done = shell(
        "set -o pipefail; rnncli run --input-shape 50,50,50 --return-sequences -f csv --seed 1 | head -1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "name,batch,timestep,unit,value\n"


def test_a_reader_that_never_came(shell: Run) -> None:
    assert shell("(sleep 0.5; rnncli run --seed 1 --quiet; echo $? >&2) | true").stderr == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("args", ["run --seed 1 --quiet", "--help", "--version", "samples sentence"])
def test_a_full_disk_is_an_error(shell: Run, args: str) -> None:
    said = shell(f"rnncli {args} > /dev/full").refusal()
    assert said.startswith("rnncli: standard output: No space left on device.\n")
    assert said.count("\n") == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_is_written_to_and_not_replaced(rnncli: Run) -> None:
    said = rnncli("run", "--seed", "1", "--quiet", "-f", "json", "-o", "/dev/full").refusal()
    assert "/dev/full: cannot be written: No space left on device." in said
    assert not Path("/dev/full").is_file()


def test_a_closed_standard_error_changes_nothing(shell: Run) -> None:
    shell("rnncli run --seed 1 -f json 2>&-").answer()


@pytest.mark.slow
def test_a_terminal_has_color_and_a_width() -> None:
    shown = in_a_terminal(60, *WIDE, "--seed", "1")
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= 60
    assert "\x1b[" not in in_a_terminal(60, *WIDE, "--seed", "1", NO_COLOR="1")


@pytest.mark.slow
def test_a_terminal_without_a_width_is_not_cut() -> None:
    assert max(map(len, in_a_terminal(0, *WIDE, "--seed", "1").splitlines())) > 250


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.slow
def test_a_pipe_that_does_not_wait_loses_nothing(unbuffered: str) -> None:
    """Who holds the other end may have said that nobody waits there; it is slow besides."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    command = [sys.executable, "-m", "rnncli", "run", "--input-shape", "90,99,9", "--return-sequences"]
    variables = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [*command, "-f", "json", "--quiet"], stdin=subprocess.DEVNULL, stdout=theirs, env=variables
    ) as process:
        until = time.monotonic() + PATIENCE
        while select.select([], [theirs], [], 0)[1] and time.monotonic() < until:  # until the pipe is full
            time.sleep(0.01)
        os.close(theirs)
        with os.fdopen(ours, "rb") as file:
            assert np.shape(json.load(file)["outputs"][0]["values"]) == (90, 99, 3)
    assert process.returncode == 0


def test_columns_and_width_say_how_wide(rnncli: Run) -> None:
    for more, env in (
        ((), {"COLUMNS": "60"}),
        (("--width", "60"), {}),
        (("--width", "60"), {"COLUMNS": "200"}),
    ):
        assert max(map(len, rnncli(*WIDE, "--seed", "1", *more, env=env).stdout.splitlines())) <= 60


@pytest.mark.parametrize("command", [["run", "--seed", "1"], ["matrix", "--seed", "1"]])
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.slow
def test_a_narrow_encoding_gets_plain_characters(rnncli: Run, command: list[str], lang: str) -> None:
    env = {"PYTHONIOENCODING": "ascii", "LANG": f"{lang}_KR.UTF-8"}
    done = rnncli(*command, "--quiet", env=env).success()
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout


@pytest.mark.slow
def test_what_programs_read_is_utf8_everywhere(rnncli: Run) -> None:
    more = ("run", "--seed", "1", "-f", "json", "--lang", "ko")
    assert rnncli(*more, env={"PYTHONIOENCODING": "ascii"}).stdout == rnncli(*more).stdout


@pytest.mark.parametrize("suffix", ["json", "csv", "svg", "npz", "txt"])
def test_a_file_is_written_by_its_suffix(rnncli: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    done = rnncli("run", INLINE, "--seed", "1", "-o", str(path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert path.stat().st_size > 0
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("command", ["run", "run --stream", "shape", "trace", "matrix"])
def test_the_input_is_not_written_over(rnncli: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "in.json").write_text(INLINE)
    (tmp_path / "link.json").symlink_to("in.json")
    assert (
        rnncli(*command.split(), "in.json", "-o", "link.json", cwd=tmp_path)
        .refusal()
        .startswith("rnncli: link.json: it is an input of this command and would be overwritten.\n")
    )
    assert (tmp_path / "in.json").read_text() == INLINE


@pytest.mark.parametrize(
    "name", ["custom_objects", "expect", "initial_state", "layer", "mask", "model", "other", "weights"]
)
def test_no_file_that_an_option_reads_is_written_over(rnncli: Run, tmp_path: Path, name: str) -> None:
    assert BY_NAME[name].reads
    file = {"custom_objects": "file.py", "layer": "file.json"}.get(name, "file.npz")
    (tmp_path / file).write_text("[]")
    command, word = "compare" if name == "other" else "run", f"@{file}" if name == "layer" else file
    said = rnncli(command, flag_name(name), word, "-o", file, cwd=tmp_path).refusal()
    assert "would be overwritten" in said
    assert (tmp_path / file).read_text() == "[]"


@pytest.mark.parametrize(("flags", "content"), [
    ("{} -l gru", INLINE),
    ("- -l gru", INLINE),
    ("-l gru", INLINE),
    ("[[1]] --mask {}", "[true]"),
    ("[[1]] -l lstm --weights {}", "{}"),
    ("[[1]] -l gru --initial-state {}", "[[1, 2, 3]]"),
    ("[[1]] -l @{}", '{"class_name": "LSTM", "config": {"units": 2}}'),
])  # fmt: skip
def test_nor_is_anything_else_that_is_read(shell: Run, tmp_path: Path, flags: str, content: str) -> None:
    path = tmp_path / "read.json"
    path.write_text(content)
    file = shlex.quote(str(path))
    for standard in ("/dev/null", file) if "{}" in flags else (file,):
        said = shell(f"rnncli run {flags.format(file)} -o {file} < {standard}").refusal()
        assert f"{path}: it is an input of this command" in said
    assert path.read_text() == content


@pytest.mark.parametrize("mode", [0o444, 0o400, 0o464])
def test_a_read_only_file_is_not_replaced(rnncli: Run, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "out.json"
    path.write_text("mine")
    path.chmod(mode)
    said = rnncli("run", INLINE, "--seed", "1", "-o", str(path)).refusal()
    assert said == f"rnncli: {path}: cannot be written: it is read-only.\nName another file.\n"
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("mode", "kept"), [(0o4755, 0o755), (0o2770, 0o770), (0o1666, 0o666), (0o600, 0o600)]
)
def test_the_new_file_has_the_permissions_before_its_content(tmp_path: Path, mode: int, kept: int) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(mode)
    with files.open_output(str(path)) as file:
        (part,) = (one for one in tmp_path.iterdir() if one.suffix == ".part")
        assert part.stat().st_mode & 0o7777 == kept
        file.write(b"new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == kept


def test_a_link_for_a_temporary_file_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    (tmp_path / "other").write_text("other")
    (tmp_path / ".out.json.00000000.part").symlink_to("other")
    with pytest.raises(UsageError, match="File exists"):
        files.write(str(tmp_path / "out.json"), "new")
    assert (tmp_path / "other").read_text() == "other"


def test_a_binary_format_goes_into_a_pipe_not_to_a_terminal(shell: Run, rnncli: Run, tmp_path: Path) -> None:
    shell("rnncli run --seed 1 --quiet -f npz > out.npz", cwd=tmp_path).success()
    assert list(np.load(tmp_path / "out.npz")) == ["hidden_state"]
    ours, theirs = os.openpty()
    try:
        refused = rnncli("run", "--seed", "1", "--quiet", "-f", "npz", stdout=theirs)
    finally:
        os.close(theirs)
        os.close(ours)
    assert refused.returncode == 2
    assert refused.stderr.startswith("rnncli: npz is binary and cannot be shown in a terminal.\n")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("before")
    (tmp_path / "link.json").symlink_to("real.json")
    files.write(str(tmp_path / "link.json"), "after\n")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "after\n"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, SystemExit, MemoryError])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "out.json"
    path.write_text("before")

    def half() -> None:
        with files.open_output(str(path)) as file:
            file.write(b"af")
            raise failure

    with pytest.raises(failure):
        half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_so_does_a_disk_that_is_full(shell: Run, tmp_path: Path) -> None:
    """A limit that the shell sets stands for one."""
    path = tmp_path / "out.npz"
    path.write_text("before")
    flags = f"--input-shape 99,99,9 --return-sequences --quiet -o {shlex.quote(str(path))}"
    said = shell(f"trap '' XFSZ; ulimit -f 64; rnncli run {flags}").refusal()
    assert said.startswith(f"rnncli: {path}: cannot be written: File too large.\n")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.slow
def test_a_signal_while_writing_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    program = (
        "import sys, time\nfrom rnncli.cli import app\n"
        "from rnncli.show.formats import json\n"
        "def slow(answer, view, file):\n"
        "    file.write(b'{'); file.flush(); print('writing', flush=True); time.sleep(30)\n"
        "json.write_json = slow\n"
        f"sys.exit(app.main(['run', '--seed', '1', '--quiet', '-o', {str(tmp_path / 'out.json')!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert said == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_interrupt_while_reading_is_130() -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "rnncli", "run"], stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.write(writing, b"[[1, ")
        until = time.monotonic() + PATIENCE
        while select.select([reading], [], [], 0)[0] and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)  # it has read this, and waits for more
        out, said = process.communicate(timeout=PATIENCE)
    os.close(reading)
    os.close(writing)
    assert (process.returncode, out, said) == (130, b"", b"")
