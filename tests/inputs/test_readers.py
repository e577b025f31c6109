"""Which reader a source gets: by its suffix, by its content or by name."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_sources import inputs

from rnncli.errors import EngineError, InputError, inside, with_path_prefix
from rnncli.inputs.formats import (
    FORMATS,
    Source,
    detect_format,
    format_of,
    read,
)
from rnncli.inputs.source import split_layers, split_source


class TestRegistry:
    @pytest.mark.parametrize("module", FORMATS.values())
    def test_every_format_has_what_the_contract_says(self, module: str) -> None:
        reader = import_module(module)
        assert callable(reader.read)
        assert callable(reader.load)

    def test_every_format_by_its_suffix(self) -> None:
        suffixes = {
            ".json": "json",
            ".ndjson": "ndjson",
            ".jsonl": "ndjson",
            ".csv": "csv",
            ".tsv": "csv",
            ".npy": "npy",
            ".npz": "npz",
            ".safetensors": "safetensors",
            ".keras": "h5",
            ".h5": "h5",
            ".weights.h5": "h5",
        }
        assert {suffix: format_of(Path(f"folder.x/name{suffix}")) for suffix in suffixes} == suffixes
        assert set(FORMATS) == set(suffixes.values())
        assert format_of(Path("UPPER.CSV")) == "csv"

    def test_an_unknown_suffix(self) -> None:
        with pytest.raises(InputError, match=r"(?s)unknown suffix \.jsn.*Did you mean \.json\?"):
            format_of(Path("notes.jsn"))
        with pytest.raises(InputError, match="it has no suffix"):
            format_of(Path("notes"))

    def test_a_format_by_any_name(self) -> None:
        for name in ("json", "JSON", ".json"):
            assert inputs("[[1]]", name).tolist() == [[1]]
        assert inputs("1\t2", "tsv").tolist() == [[1, 2]]
        with pytest.raises(InputError, match=r"(?s)no input format 'jsson'.*Did you mean json"):
            inputs("[[1]]", "jsson")

    @pytest.mark.parametrize(
        ("data", "format"),
        [
            (b" \n[1", "json"),
            (b"\xef\xbb\xbf{", "json"),
            (b"\xef\xbb\xbf", "json"),
            (b"5", "json"),
            (b"null", "json"),
            (b"1,2\n", "csv"),
            (b"-1\n2\n", "csv"),
            (b'"a","b"\n1,2\n', "csv"),
            (b"temperature\n1\n", "csv"),
            (b"level\n1\n", "csv"),
            (b".5;1\n", "csv"),
            (b"NaN\n", "csv"),
        ],
    )
    def test_sniffing(self, data: Any, format: Any) -> None:
        assert detect_format(Source("standard input", data)) == format

    def test_standard_input_is_sniffed(self) -> None:
        assert read(Source("standard input", b"a,b\n1,2\n")).feature_names == ("a", "b")
        np.testing.assert_array_equal(read(Source("standard input", b"[[1]]")).inputs, [[1]])

    def test_files(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "notes.json"
        path.write_text("[[1]]")
        np.testing.assert_array_equal(read(Source(path.name, path=path)).inputs, [[1]])
        with pytest.raises(InputError, match=r"(?s)note\.json: there is no such.*mean notes\.json"):
            read(Source("note.json", path=tmp_path / "note.json"))
        with pytest.raises(InputError, match="There is no folder"):
            read(Source("x/a.json", path=tmp_path / "x" / "a.json"))
        (tmp_path / "folder.json").mkdir()
        with pytest.raises(InputError, match=r"folder\.json: it is a folder"):
            read(Source("folder.json", path=tmp_path / "folder.json"))

        def refuse(self: Path, *_: object, **__: object) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(InputError, match=r"notes\.json: permission denied"):
            read(Source("notes.json", path=path))

    def test_the_registry_waits_with_heavy_imports(self) -> None:
        heavy = "numpy", "h5py", "orjson", "safetensors", "tensorflow"
        program = (
            "import sys, rnncli.inputs.formats, rnncli.inputs.arrange; "
            "import rnncli.specs.shapes, rnncli.inputs.sample_files; "
            f"print([name for name in {heavy} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestNamesOfSources:
    def test_each_name_stands_in_front_once(self) -> None:
        with (
            pytest.raises(InputError) as caught,
            inside("a.json"),
            inside(""),
            inside("a.json"),
            inside("line 3"),
            with_path_prefix("weights"),
        ):
            raise InputError("{place} is empty.", "Fill it.", ("kernel", 0))
        assert caught.value.what == "a.json: line 3: weights/kernel[0] is empty."
        assert str(caught.value) == f"{caught.value.what}\nFill it."
        assert (str(caught.value.sentence), caught.value.sources) == (
            "weights/kernel[0] is empty.",
            ("a.json", "line 3"),
        )

    def test_only_errors_about_the_source_get_its_name(self) -> None:
        for more, said in ((), "it is missing."), ((EngineError,), "a.pt: it is missing."):
            with pytest.raises(EngineError) as caught, inside("a.pt", *more):
                raise EngineError("it is missing.")
            assert caught.value.what == said

    def test_the_layers_after_a_hash(self, tmp_path: Path) -> None:
        assert split_layers("a.npz") == ("a.npz", ())
        assert split_layers("a.npz#lstm, in/gru") == ("a.npz", ("lstm", "in/gru"))
        assert split_layers("~nobody/a.npz#") == ("~nobody/a.npz", ("",))
        assert split_layers(f"[{'1,' * 9999}1]#a")[1] == ("a",)
        own = tmp_path / "a#b.npz"
        own.touch()
        assert split_layers(str(own)) == (str(own), ())
        assert split_layers(f"{own}#c") == (str(own), ("c",))
        named = Source("weights: w#gru", path=tmp_path / "w#gru")
        assert split_source(named) == (Source("weights: w", path=tmp_path / "w"), ("gru",))
        with pytest.raises(InputError, match=r"^#a: there is no file name before the #"):
            split_source(Source("#a", path=Path("#a")))
