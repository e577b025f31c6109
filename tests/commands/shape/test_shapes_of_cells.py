"""`rnncli shape` of a cell of one's own: what its states are called, and whose columns a weight has."""

import json
from pathlib import Path
from typing import Any

from own_cells import NASTY


def test_packed_weights_name_the_lines_of_their_columns(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "cell.toml").write_text(NASTY)
    layer = f"RNN([@'{tmp_path}/cell.toml'(4), LSTMCell(2)], return_state=True)"
    done = rnncli("shape", "-l", layer, "--input-shape", "1,2,5", "-f", "json")
    document = json.loads(done.stdout)
    lines = {weight["name"]: weight["lines"] for weight in document["weights"] if "lines" in weight}
    assert lines == {
        "0/kernel": ["forget", "raw"],
        "0/recurrent_kernel": ["forget", "raw"],
        "0/bias": ["attention", "forget", "raw"],
    }
    meanings = {one["name"]: one["meaning"] for one in document["outputs"]}
    assert meanings["cell_0/last_memory_state"] == "cell 0: memory state of the last time step"
    assert "attention, forget, raw" in rnncli("shape", "-l", layer, "--input-shape", "1,2,5").stdout
    assert "columns of" not in rnncli("shape", "-l", "lstm", "--input-shape", "1,2,5").stdout
