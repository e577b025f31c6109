"""Nothing heavy is imported by a command that does not need it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import HEAVY, loaded_by
from limits import PATIENCE

from rnncli.__main__ import SOON


@pytest.mark.slow
def test_no_command_loads_a_framework() -> None:
    lines = (
        "run", "run --hold forget=1", "run --layer TimeDistributed(Dense(2))", "shape", "matrix",
        "trace --layer bilstm --stats --fail-on-nan", "explain last_cell_state[0,0]",
        "compare -l lstm --expect [[0,0,0]] --atol 9", "compare -l lstm --split 2", "samples", "engines",
        "tour", "conformance",
    )  # fmt: skip
    formats = ("table", "json", "ndjson", "csv", "markdown", "html", "svg")
    assert not HEAVY & loaded_by(each=[[*line.split(), "-f", one] for line in lines for one in formats])


@pytest.mark.slow
def test_a_script_is_written_without_its_framework() -> None:
    targets = ("c", "config", "keras", "numpy", "torch")
    assert not HEAVY & loaded_by("export", each=[["--to", target] for target in targets])


@pytest.mark.slow
def test_a_file_without_a_graph_needs_no_framework(tmp_path: Path) -> None:
    square = np.eye(3, dtype="float32")
    np.savez(tmp_path / "m.npz", weight_ih_l0=square, weight_hh_l0=square)
    assert not HEAVY & loaded_by("run", "[[1, 2, 3]]", "--model", str(tmp_path / "m.npz"))


@pytest.mark.slow
def test_a_summary_of_a_model_needs_no_framework(tmp_path: Path) -> None:
    square = np.eye(3, dtype="float32")
    np.savez(tmp_path / "m.npz", weight_ih_l0=square, weight_hh_l0=square)
    assert not HEAVY & loaded_by("shape", "--model", str(tmp_path / "m.npz"), "--explain")


def test_help_loads_neither_numpy_nor_rich() -> None:
    commands = ("run", "matrix", "export", "plot", "gradients", "explore", "tour")
    loaded = loaded_by(each=[["--help"], ["--version"], *([name, "--help"] for name in commands)])
    ours = {"rnncli.compute", "rnncli.inputs.formats", "rnncli.specs", "rnncli.layers"}
    assert not (HEAVY | ours | {"numpy", "rich", "orjson"}) & loaded
    assert "rnncli.commands.tour.lesson" not in loaded


def test_help_loads_no_command() -> None:
    assert not {module for module in loaded_by("--help") if module.startswith("rnncli.commands")}


@pytest.mark.slow
def test_shapes_and_lists_need_no_numpy() -> None:
    lines = (
        "shape", "shape --layer bilstm --layer GRU(2) --all-layers", "shape --input-shape batch,None,8",
        "shape --input-shape 2,10,8 -f csv", "engines", "--version -f json", "samples", "samples sentence",
    )  # fmt: skip
    assert "numpy" not in loaded_by(each=[line.split() for line in lines])


@pytest.mark.slow
def test_what_is_no_table_needs_no_rich() -> None:
    lines = ("run -f json", "trace --stats -f json", "shape -f json", "shape -f markdown", "shape -f html")
    assert "rich" not in loaded_by(each=[line.split() for line in lines])


@pytest.mark.parametrize("said", [None, "26"])
def test_the_threads_of_products_sleep_soon_unless_somebody_says_when(said: str | None) -> None:
    program = """
import os, rnncli.__main__ as program, rnncli.cli.app as app
app.main = lambda _: print(os.environ["OPENBLAS_THREAD_TIMEOUT"]) or 0
program.main()
"""
    name = "OPENBLAS_THREAD_TIMEOUT"
    kept = {key: value for key, value in os.environ.items() if key != name}
    done = subprocess.run(
        [sys.executable, "-c", program], env=kept | ({name: said} if said else {}), capture_output=True,
        text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == (said or SOON)


@pytest.mark.slow
def test_a_plain_run_loads_few_of_our_modules() -> None:
    """A reader follows them from the command line to the table; one more needs a reason."""
    loaded = loaded_by("run", "-l", "lstm", "--return-sequences", "--seed", "1")
    assert len([name for name in loaded if name.split(".")[0] == "rnncli"]) <= 70


@pytest.mark.parametrize("format", ["table", "json"])
@pytest.mark.slow
def test_a_described_layer_needs_no_reader_of_saved_models(format: str) -> None:
    needed = loaded_by("run", "--seed", "1", "-f", format)
    assert not [name for name in needed if name.startswith(("rnncli.models.reading", "rnncli.frameworks"))]
    assert "tomllib" not in needed
