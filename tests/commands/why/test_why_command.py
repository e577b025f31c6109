"""rnncli why, from the command line."""

import re
from pathlib import Path

import pytest
from command import HEAVY, Run, loaded_by

from rnncli import handbook
from rnncli.commands.why.diagnosis import matches

PAGES = [page for page in sorted(Path(handbook.__file__).parent.glob("*.md")) if page.stem != "questions"]
QUOTED = re.compile(r"`(?!rnncli |pip |apt )([a-z]\w* [a-z\d]\w*[ =][^`\n]+)`")
"""What a page quotes in English, `expected ndim=3, found ndim=2`, and that is no command."""
MESSAGE = "expected ndim=3, found ndim=2. Full shape received: (1, 60)"
TRACEBACK = f"""\
Traceback (most recent call last):
  File "train.py", line 9, in <module>
    model.fit(x, y)
  File "/venv/lib/python3.11/site-packages/keras/src/utils/traceback_utils.py", line 122, in error_handler
    raise e.with_traceback(filtered_tb) from None
    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: Input 0 with name 'None' of layer 'lstm' is incompatible with the layer: {MESSAGE}
"""


def test_a_message_as_an_argument(rnncli: Run) -> None:
    done = rnncli("why", MESSAGE).success()
    assert done.stdout.startswith("A recurrent layer needs (batch, timesteps, features); it got (1, 60)")
    assert done.stderr == ""


@pytest.mark.parametrize("args", [[], ["-"]])
def test_a_traceback_from_a_pipe(rnncli: Run, args: list[str]) -> None:
    document = rnncli("why", *args, "-f", "json", input=TRACEBACK).answer()
    assert document["candidates"][0]["outputs"][0]["shape"] == [1, 3]
    assert document["call"] == {"file": "train.py", "line": 9, "code": "model.fit(x, y)"}
    assert rnncli("why", *args, input=TRACEBACK).stdout.splitlines()[1] == "train.py, line 9: model.fit(x, y)"


def test_korean(rnncli: Run) -> None:
    assert "순환층의 입력은" in rnncli("why", MESSAGE, "--lang", "ko").stdout
    assert "순환층의 입력은" not in rnncli("why", MESSAGE, "-f", "json", env={"LC_ALL": "ko_KR.UTF-8"}).stdout


def test_an_unknown_message_ends_with_1(rnncli: Run) -> None:
    done = rnncli("why", "no such message")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("rnncli: this message is not known.")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_message_ends_with_2(rnncli: Run, text: str) -> None:
    for done in (rnncli("why", text), rnncli("why", input=text), rnncli("why", "-", input=text)):
        assert done.returncode == 2
        assert done.stdout == ""
        assert "the message is empty" in done.stderr


def test_bytes_that_are_no_text_are_read_around(shell: Run) -> None:
    done = shell(f"printf '\\xff\\xfe\\x00 {MESSAGE} \\xff' | rnncli why").success()
    assert "(1, 60)" in done.stdout


def test_the_name_of_a_file_is_not_a_message(rnncli: Run, shell: Run, tmp_path: Path) -> None:
    file = tmp_path / "error log.txt"
    file.write_text(TRACEBACK)
    what, advice = rnncli("why", str(file)).refusal().splitlines()
    assert what.endswith("is a file, not a message.")
    assert shell(advice).returncode == 0


def test_output_to_a_file(rnncli: Run, tmp_path: Path) -> None:
    file = tmp_path / "why.md"
    assert rnncli("why", MESSAGE, "-o", str(file)).returncode == 0
    assert "one time step of 60 features" in file.read_text()
    assert rnncli("why", MESSAGE, "-o", str(tmp_path / "why.npz")).returncode == 2


@pytest.mark.slow
def test_no_framework_is_loaded() -> None:
    assert not HEAVY & loaded_by(
        "why", MESSAGE, each=[["-f", kind] for kind in ("table", "json", "csv", "html")]
    )


def test_control_characters_of_a_message_are_not_passed_on(rnncli: Run) -> None:
    hostile = "Keyword argument not understood:', 'x', \x1b[2J\u202e and units_missing"
    done = rnncli("why", hostile)
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_a_topic_of_the_handbook_is_no_message(rnncli: Run) -> None:
    done = rnncli("why", "return_state")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("It is a topic of the handbook: rnncli help return_state\n")
    assert "rnncli help masks" in rnncli("why", "mask").stderr


def test_a_table_in_a_pipe_is_not_wider_than_100_columns(rnncli: Run) -> None:
    assert max(map(len, rnncli("why", MESSAGE).stdout.splitlines())) <= 100


def test_every_message_that_a_page_quotes_is_known() -> None:
    quoted = {text for page in PAGES for text in QUOTED.findall(page.read_text())}
    assert {"the batch size must be static", "expected ndim=3, found ndim=2"} < quoted
    assert [text for text in quoted if not matches(text)] == []
