"""Reading files into arrays, compared in one run: python tests/benchmarks/reading.py [ROUNDS]

Reads the same numbers as JSON, CSV and npy, with rnncli's readers and with only the libraries they use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson
from figures import Row, Section, Sections, alone, in_turn

from rnncli.inputs import formats

SHAPE = (10_000, 100)


def sections(rounds: int) -> Sections:
    """Yield MB per second, compared with the library alone."""
    with TemporaryDirectory() as folder:
        for path, title, library in _files(Path(folder)):
            source = formats.Source(path.name, path=path)
            contestants: dict[str, Callable[[], object]] = {
                title: partial(lambda library, path: library(path).sum(), library, path),
                "rnncli": partial(lambda source: np.asarray(formats.read(source).inputs).sum(), source),
            }
            megabytes = path.stat().st_size / 1e6
            seconds = in_turn(contestants, rounds)
            rows = tuple(Row(name, megabytes / one) for name, one in seconds.items())
            yield Section(f"reading {path.suffix[1:]}, {megabytes:.0f} MB", "MB a second", title, rows)


def _files(folder: Path) -> list[tuple[Path, str, Callable[[Path], np.ndarray]]]:
    numbers = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    json, csv, npy = (folder / f"numbers.{suffix}" for suffix in ("json", "csv", "npy"))
    json.write_bytes(text)
    csv.write_bytes(text[2:-2].replace(b"],[", b"\n") + b"\n")
    np.save(npy, np.tile(numbers, (20, 1)))
    return [
        (json, "orjson and numpy alone", lambda path: np.array(orjson.loads(path.read_bytes()))),
        (csv, "numpy.loadtxt alone", lambda path: np.loadtxt(path, delimiter=",")),
        (npy, "numpy.load alone", np.load),
    ]


if __name__ == "__main__":
    alone(sections, 3)
