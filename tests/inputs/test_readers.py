"""Which reader a source gets: by its suffix, by its content or by name; and the names of sources."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_sources import inputs

from rnncli.errors import EngineError, InputError, inside, with_path_prefix
from rnncli.inputs import sample_files
from rnncli.inputs.formats import FORMATS, ONE_ARRAY, Source, detect_format, format_of, read
from rnncli.inputs.source import split_layers, split_source


def test_every_format_by_its_suffix() -> None:
    suffixes = {
        **{f".{name}": name for name in ("json", "ndjson", "csv", "npy", "npz", "safetensors", "h5")},
        ".jsonl": "ndjson", ".tsv": "csv", ".CSV": "csv", ".keras": "h5", ".weights.h5": "h5",
    }  # fmt: skip
    assert {suffix: format_of(Path(f"folder.x/name{suffix}")) for suffix in suffixes} == suffixes
    assert set(FORMATS) == set(suffixes.values())
    others = [import_module(module) for name, module in FORMATS.items() if name not in ONE_ARRAY]
    assert all(hasattr(reader, "load") for reader in others)
    for name, said in (("a.jsn", r"(?s)unknown suffix \.jsn.*mean \.json\?"), ("a", "it has no suffix")):
        with pytest.raises(InputError, match=said):
            format_of(Path(name))


def test_a_format_by_any_name() -> None:
    for name in ("json", "JSON", ".json"):
        assert inputs("[[1]]", name).tolist() == [[1]]
    assert inputs("1\t2", "tsv").tolist() == [[1, 2]]
    with pytest.raises(InputError, match=r"(?s)no input format 'jsson'.*Did you mean json"):
        inputs("[[1]]", "jsson")


@pytest.mark.parametrize(("data", "format"), [
    (b" \n[1", "json"), (b"\xef\xbb\xbf{", "json"), (b"\xef\xbb\xbf", "json"), (b"5", "json"),
    (b"null", "json"), (b"1,2\n", "csv"), (b"-1\n2\n", "csv"), (b'"a","b"\n1,2\n', "csv"),
    (b"temperature\n1\n", "csv"), (b"level\n1\n", "csv"), (b".5;1\n", "csv"), (b"NaN\n", "csv"),
])  # fmt: skip
def test_standard_input_is_sniffed(data: bytes, format: str) -> None:
    assert detect_format(Source("standard input", data)) == format


def test_a_cell_is_no_input(tmp_path: Path) -> None:
    cell = tmp_path / "my cell.toml"
    cell.write_bytes(sample_files.path("mgu").read_bytes())
    with pytest.raises(InputError, match=r"(?s)holds a cell.*rnncli run --layer '@.*my cell\.toml'"):
        read(Source(str(cell), path=cell))
    with pytest.raises(InputError, match=r"(?s)standard input: it is a cell.*Save it"):
        read(Source("standard input", cell.read_bytes()))


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.json"
    path.write_text("[[1]]")
    np.testing.assert_array_equal(read(Source(path.name, path=path)).inputs, [[1]])
    (tmp_path / "folder.json").mkdir()
    for name, said in (
        ("note.json", r"(?s)note\.json: there is no such.*mean notes\.json"),
        ("x/a.json", "There is no folder"),
        ("folder.json", r"folder\.json: it is a folder"),
    ):
        with pytest.raises(InputError, match=said):
            read(Source(name, path=tmp_path / name))

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"notes\.json: permission denied"):
        read(Source("notes.json", path=path))


def test_each_name_of_a_source_stands_in_front_once() -> None:
    with (
        pytest.raises(InputError) as caught,
        inside("a.json"),
        inside(""),
        inside("a.json"),
        inside("line 3"),
        with_path_prefix("weights"),
    ):
        raise InputError("{place} is empty.", "Fill it.", ("kernel", 0))
    assert str(caught.value) == "a.json: line 3: weights/kernel[0] is empty.\nFill it."
    assert str(caught.value.sentence) == "weights/kernel[0] is empty."
    assert caught.value.sources == ("a.json", "line 3")


def test_only_errors_about_the_source_get_its_name() -> None:
    for more, said in ((), "it is missing."), ((EngineError,), "a.pt: it is missing."):
        with pytest.raises(EngineError) as caught, inside("a.pt", *more):
            raise EngineError("it is missing.")
        assert caught.value.what == said


def test_the_layers_after_a_hash(tmp_path: Path) -> None:
    own = tmp_path / "a#b.npz"
    own.touch()
    split: dict[str, Any] = {
        "a.npz": ("a.npz", ()),
        "a.npz#lstm, in/gru": ("a.npz", ("lstm", "in/gru")),
        "~nobody/a.npz#": ("~nobody/a.npz", ("",)),
        str(own): (str(own), ()),
        f"{own}#c": (str(own), ("c",)),
    }
    assert {word: split_layers(word) for word in split} == split
    assert split_layers(f"[{'1,' * 9999}1]#a")[1] == ("a",)
    named = Source("weights: w#gru", path=tmp_path / "w#gru")
    assert split_source(named) == (Source("weights: w", path=tmp_path / "w"), ("gru",))
    with pytest.raises(InputError, match=r"^#a: there is no file name before the #"):
        split_source(Source("#a", path=Path("#a")))
