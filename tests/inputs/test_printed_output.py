"""What rnncli printed for people, given back to it: the message says what to print instead."""

import shlex
from pathlib import Path

import pytest
from command import Run

from rnncli.cli.app import main
from rnncli.errors import InputError
from rnncli.inputs.formats import Source, read

RUN = "run sentence --seed 1 --quiet"
PRINTED = [
    RUN, f"{RUN} --lang ko", f"{RUN} --return-sequences --full -l bilstm", f"{RUN} -f csv",
    f"{RUN} -f markdown", f"{RUN} -f html", f"{RUN} -f svg", "trace sentence --seed 1 --quiet",
    "matrix sentence --seed 1 --quiet",
    "explain hidden_state[0,0] sentence --seed 1 --quiet --lang ko",
    "shape",
]  # fmt: skip


COLORED = b"\x1b[1mLSTM(3)\x1b[0m\n\x1b[2minput (1, 4, 5) float32\x1b[0m\n\n 1 2\n"


@pytest.mark.parametrize("line", [*PRINTED, ""])
def test_a_page_is_recognized(line: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Also one in colors."""
    assert not line or main(shlex.split(line)) == 0
    printed = capfdbinary.readouterr().out or COLORED
    with pytest.raises(InputError) as caught:
        read(Source("stdin", data=printed))
    assert caught.value.what == "stdin: it looks like rnncli's own output, written for people to read."
    assert caught.value.advice == "Only what `rnncli run --format json` printed can be read back."


def test_a_file_of_it(tmp_path: Path, rnncli: Run) -> None:
    path = tmp_path / "out.csv"
    rnncli(*RUN.split(), "-o", str(path)).success()
    assert f"{path}: it looks like rnncli's own output" in rnncli("run", str(path)).refusal()
    rnncli(*RUN.split(), "-f", "json", "-o", str(tmp_path / "out.json")).success()
    rnncli("run", str(tmp_path / "out.json")).success()


@pytest.mark.parametrize(
    "text", ["name,value\na,b\nc,d\n", "LSTM,GRU\n1,x\n", "input (1) float32\n1,2,x\n", "<a>\n1,2\n"]
)
def test_other_texts_keep_their_message(text: str) -> None:
    with pytest.raises(InputError) as caught:
        read(Source("standard input", data=text.encode()), "csv")
    assert "rnncli" not in caught.value.what
