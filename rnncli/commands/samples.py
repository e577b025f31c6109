"""`rnncli samples`: the built-in inputs and cells."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, UsageError
from rnncli.inputs import sample_files as builtin
from rnncli.inputs.sample_files import Sample
from rnncli.show.answer import HEAD, Field, ListAnswer, Reply
from rnncli.show.wording import typed

if TYPE_CHECKING:
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli samples
rnncli samples sensors > sensors.csv
rnncli samples sentence | rnncli run --layer gru
rnncli samples review "the film is bad" | rnncli trace
rnncli samples mgu > mgu.toml
"""
OWN_FILES = True


def samples(output: OutputFlags, *, name: str | None, texts: list[str] | None) -> Reply[ListAnswer | bytes]:
    """The built-in inputs and cells.

    Without a name, list them; with one, print its file unchanged, or with your sentences as its inputs.
    """
    if name is not None:
        _require_its_format(builtin.get(name), output)
        if texts:
            return Reply(_with_sentences(name, texts))
        return Reply(builtin.path(name).read_bytes())
    return Reply(ListAnswer("samples", FIELDS, (*builtin.SAMPLES, *builtin.CELLS), COLUMNS))


def _with_sentences(name: str, texts: list[str]) -> bytes:
    """Return the document of a sample with these inputs.

    Raises UsageError for a sample without words, InputError for a word that it does not have.
    """
    from rnncli.inputs import names, source
    from rnncli.inputs.formats import json

    has_keys = builtin.get(name).file.endswith(".json")
    document = json.load(source.sample(name)) if has_keys else {}
    if "words" not in document:
        what = "the sample {name} has no words, so it takes no text."
        raise UsageError(what, "Print it unchanged: rnncli samples {name}", name=name)
    vocabulary = {key: document.get(key) for key in ("words", "groups", "aliases")}
    _, sentences = names.read_sentences(texts, names.read_names(vocabulary))
    return write_document({**document, "inputs": [" ".join(words) for words in sentences.steps]})


def write_document(document: dict[str, Any]) -> bytes:
    """Return a case document as JSON, a key per line."""
    import json

    lines = (
        f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in document.items()
    )
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _require_its_format(sample: Sample, output: OutputFlags) -> None:
    """Raise UsageError for a format that the sample is not written in; it is printed unchanged."""
    written = PurePath(sample.file).suffix.lstrip(".")
    suffix = PurePath(output.output or "").suffix.lstrip(".").casefold()
    flags = ("--format", output.format, output.format), ("--output", output.output, suffix)
    for flag, text, format_name in flags:
        if format_name not in (None, "", "txt", written):
            what = "{flag} {text}: the sample {name} is {own}, and it is printed unchanged."
            advice = "Write it unchanged: rnncli samples {name} -o {file}"
            file = PurePath(sample.file).name
            raise UsageError(what, advice, flag=flag, text=text, name=sample.name, own=written, file=file)


def command(sample: Sample) -> str:
    """Return the command that runs the sample; a cell is written to a file first."""
    file = PurePath(sample.file).name
    if file.endswith(".toml"):
        return f"rnncli samples {sample.name} > {file}; rnncli run -l @{file}"
    return f"rnncli samples {sample.name} | rnncli {sample.command} {sample.hint}".rstrip()


FIELDS = (
    Field("name", heading="sample", style="strong"),
    Field("title", lambda sample: Message(sample.title), heading="what it is"),
    Field("command", command, show=lambda sample, view: typed(command(sample), view.lang)),
)
"""What the list says of a sample."""
DOCUMENTS = (HEAD | {"samples": [FIELDS]},)
COLUMNS = ("name", "title/command")
