"""Large texts: how much memory they take, and where their faults are."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import run_program

from rnncli.errors import InputError
from rnncli.inputs.formats import Source, read
from rnncli.process import memory


@pytest.mark.parametrize(
    ("suffix", "most", "wide", "fault"),
    [("json", 5, True, "x"), ("json", 5, False, ""), ("ndjson", 4, True, "x"), ("csv", 2, True, "")],
)
@pytest.mark.slow
def test_memory(tmp_path: Path, suffix: str, most: int, wide: bool, fault: str) -> None:
    """Beside what the program takes without it; of a whole file, and of one with a fault at its end."""
    drawn = np.random.default_rng(0).standard_normal((1000, 50))
    row = (drawn if wide else drawn.ravel()).tolist()
    file, times = tmp_path / f"large.{suffix}", 24
    with file.open("w") as out:
        if suffix == "csv":
            text = "".join(f"{','.join(map(str, numbers))}\n" for numbers in row)
        else:
            text = json.dumps(row) + ("," if suffix == "json" else "\n")
            text = text if wide else f"{text[1:-2]},"
        out.write("[" if suffix == "json" else "")
        out.write((text * times).removesuffix(","))
        out.write(fault + ("]" if suffix == "json" else ""))
    code = (
        "import resource, sys, numpy, orjson; from pathlib import Path\n"
        "from rnncli.inputs.formats import *\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024; before = peak()\n"
        "from rnncli.errors import InputError\n"
        "try: read(Source('x', path=Path(sys.argv[1])))\n"
        "except InputError: assert sys.argv[2]\n"
        "print(peak() - before)"
    )
    assert int(run_program(code, str(file), fault).success().stdout) < most * file.stat().st_size


NUMBERS = "[[0.5, 1], [2, 3]]"


@pytest.mark.parametrize("item", [NUMBERS, "[]", '{"a":1}'])
def test_json_that_would_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch, item: str) -> None:
    text = f"[{f'{item}, ' * 1_100_000}{item}]"
    monkeypatch.setattr(memory, "total", lambda: 10 * len(text))
    with pytest.raises(InputError, match=r"^x: it does not fit in memory\.\nGive a smaller file; "):
        read(Source("x", text.encode()), "json")


@pytest.mark.slow
def test_a_fault_far_into_a_large_text_has_its_place() -> None:
    rows = ",\n".join([NUMBERS] * 300_000)
    for fault, said in (("[[0.5, x], [2, 3]]", "line 300001, column 8: "), ("[[1], [2, 3]]", "[300000][0]")):
        with pytest.raises(InputError) as caught:
            read(Source("x", f"[{rows},\n{fault}]".encode()), "json")
        assert said in str(caught.value)
