"""How the code is laid out: what ruff, mypy and import-linter, which tests/check runs, do not look at."""

import ast
import pkgutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from rnncli import frameworks, layers
from rnncli.cli import catalog
from rnncli.commands.export import targets
from rnncli.compute import engines
from rnncli.inputs import formats as input_formats
from rnncli.layers import plain
from rnncli.options import OPTIONS
from rnncli.show import formats

ROOT = Path(__file__).parents[1]


def test_top_level_holds_what_the_plan_says() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    tops = {line.split("/")[0] for line in listed.stdout.splitlines()}
    named = {top for top in tops if not top.startswith(".")}
    assert named <= {"pyproject.toml", "rnncli", "tests", "README.md", "samples", "LICENSE", "CHANGELOG.md"}


LISTS: Mapping[str, Iterable[str]] = {
    "commands": [f"rnncli.commands.{name}" for name in catalog.names()],
    "commands/export/targets": targets.TARGETS.values(),
    "compute/engines": engines.ENGINES.values(),
    "layers": {module for module in layers.LAYERS.values() if not module.startswith(f"{plain.__name__}.")},
    "layers/plain": {f"{plain.__name__}.{function.partition('.')[0]}" for function in plain.LAYERS.values()}
    | {plain.OPERATIONS},
    "frameworks": frameworks.LAYOUTS.values(),
    "inputs/formats": input_formats.FORMATS.values(),
    "show/formats": {one.module for one in formats.FORMATS.values()},
}
"""The folders whose files, but for those with an underscore, are listed, with the lists."""
BASES = {
    "rnncli.inputs.formats.json", "rnncli.inputs.formats.npy", "rnncli.commands.explain",
    "rnncli.show.formats.table", "rnncli.frameworks.keras", "rnncli.commands.run", "rnncli.commands.trace",
    "rnncli.commands.report",
}  # fmt: skip
"""Listed files on which others are built: ndjson on json, npz on npy, explore on explain and report, tour on
report, report on run and trace, svg on table, cudnn on keras."""

BESIDE = {
    "commands": {"checks", "expected"},
    "layers": {"case", "layer", "plain", "recurrent", "shape_checks", "stack"},
}
"""Files of these folders that are not of the listed kind."""


def test_options_list_what_they_may_name() -> None:
    """The table of options lies below the frameworks and the targets, and names them."""
    named = {entry.commands: entry.choices for entry in OPTIONS if entry.name == "to"}
    assert named == {("weights",): tuple(frameworks.LAYOUTS), ("export",): tuple(targets.TARGETS)}


@pytest.mark.parametrize("folder", LISTS)
def test_every_file_is_listed(folder: str) -> None:
    package = f"rnncli.{folder.replace('/', '.')}"
    found = {name for _, name, _ in pkgutil.iter_modules([str(ROOT / "rnncli" / folder)]) if name[0] != "_"}
    assert {f"{package}.{name}" for name in found - BESIDE.get(folder, set())} == set(LISTS[folder])


@pytest.mark.parametrize("folder", LISTS)
def test_listed_files_do_not_import_each_other(folder: str) -> None:
    """It must be possible to remove any one of these files."""
    own = {*LISTS[folder]} - BASES
    for file in sorted((ROOT / "rnncli" / folder).rglob("*.py")):
        name = module_name(file)
        for imported in imports(file):
            other = next((one for one in own if imported == one or imported.startswith(f"{one}.")), None)
            inside = other is None or name == other or name.startswith(f"{other}.")
            assert inside, f"{name} imports {imported}"


def test_tests_mirror_the_package() -> None:
    """Tests lie in a folder named as a folder or a file of the package; scripts and files are apart."""
    extra = {"golden", "benchmarks", "corpus", "training"}
    for file in sorted((ROOT / "tests").rglob("*.py")):
        folder = file.parent.relative_to(ROOT / "tests")
        room = ROOT / "rnncli" / folder
        mirrored = room.is_dir() or room.with_suffix(".py").is_file()
        assert extra & set(folder.parts) or mirrored, f"{folder} is not in rnncli/"


@cache
def imports(file: Path) -> frozenset[str]:
    """Return every module, and every name of a module, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


@pytest.mark.slow
def test_imports_make_no_circle() -> None:
    """Counts imports inside functions and of types."""
    files = {module_name(file): file for file in sorted((ROOT / "rnncli").rglob("*.py"))}
    graph = {}
    for name, file in files.items():
        found = {whole if whole in files else whole.rpartition(".")[0] for whole in imports(file)}
        graph[name] = found & files.keys() - {name}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the files


@pytest.mark.slow
def test_no_two_classes_of_a_folder_share_a_name() -> None:
    """But those that are one thing in different frameworks or targets."""
    names: Counter[tuple[Path, str]] = Counter()
    for file in sorted((ROOT / "rnncli").rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        names.update((file.parent, node.name) for node in nodes if isinstance(node, ast.ClassDef))
    twice = {name for (_, name), times in names.items() if times > 1}
    assert sorted(twice - {"Layers", "Model"}) == []


def module_name(file: Path) -> str:
    """Return the name under which a file is imported."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.slow
def test_private_files_and_names_stay_in_their_folder() -> None:
    """A name with a leading underscore may be used only in its folder (a package's: in the parent folder)."""
    for file in sorted((ROOT / "rnncli").rglob("*.py")):
        room = ".".join(file.parent.relative_to(ROOT).parts)
        for imported in imports(file):
            if imported.startswith("rnncli.") and not imported.split(".")[-1].startswith("__"):
                private = [place for place, part in enumerate(imported.split(".")) if part.startswith("_")]
                owner = ".".join(imported.split(".")[: private[0]]) if private else ""
                assert room.startswith(owner) or not private, f"{file.relative_to(ROOT)} imports {imported}"


def test_a_private_part_of_a_library_is_imported_by_a_single_file() -> None:
    """Such as typer._click, from which the other files take their names."""
    owners: dict[str, list[str]] = {}
    for file in sorted((ROOT / "rnncli").rglob("*.py")):
        for imported in imports(file):
            parts = imported.split(".")
            if parts[0] != "rnncli" and any(part[0] == "_" and part[:2] != "__" for part in parts):
                owners.setdefault(imported, []).append(file.name)
    assert owners == {"_string.formatter_parser": ["errors.py"], "typer._click": ["catalog.py"]}


def test_arrows_between_rooms_are_reported(record_property: Callable[[str, object], None]) -> None:
    """A room is a folder of the package, or a file at its root.

    Their number is a figure to look at (`pytest --junit-xml`), and no limit: a limit forbade an import, and a
    copy was kept instead.
    """
    arrows = set()
    for file in (ROOT / "rnncli").rglob("*.py"):
        room, *_ = file.relative_to(ROOT / "rnncli").with_suffix("").parts
        for imported in imports(file):
            package, _, name = imported.partition(".")
            other = name.partition(".")[0]
            if package == "rnncli" and other != room:
                arrows.add(f"{room} -> {other}")
    record_property("arrows between rooms", len(arrows))
