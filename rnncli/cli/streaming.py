"""`rnncli run --stream`: a record a line, answered as it comes."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnncli import readers
from rnncli.answers.run import RunAnswer
from rnncli.arrange import arrange
from rnncli.case import Case, Document
from rnncli.cli import request, sources, terminal
from rnncli.cli.options import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.cli.output import flowing
from rnncli.errors import DisagreementError, InputError, RnncliError, UsageError
from rnncli.readers import ndjson
from rnncli.streams import Line, Stream, whole_lines

if TYPE_CHECKING:
    from rnncli.arrange import Arranged

AT_ONCE = 1 << 20
"""Bytes that are asked for; a pipe gives what it has."""
LINES = ("ndjson", "json")
"""The formats that a line can be in."""


def demand(whole: bool, *, stream: bool, memory: str | None) -> None:
    """UsageError where the flags do not go with --stream."""
    if not stream:
        raise UsageError("--keep-going is for --stream.", "Add --stream, or leave it out.")
    if whole:
        raise UsageError("--stream answers line by line.", "Leave --check, --stats and --fail-on-nan out.")
    if memory is not None:
        raise UsageError("--memory is for a batch, and --stream answers line by line.", "Leave it out.")


def run(
    input: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    output: OutputFlags,
    select: Sequence[str] | None,
    *,
    all_layers: bool,
    keep_going: bool,
) -> None:
    """Read, answer, show; without keep_going the first bad line ends it, with what came before shown."""
    sources.demand_one_reader(input, layer, run)
    _demand_lines(input)
    cases = _Cases(input, layer, run, all_layers)
    stream = Stream(cases, run.engine)
    bad, empty = 0, True
    with sources.opened(input) as file, flowing(output) as show:
        for lines in whole_lines(lambda: file.read(AT_ONCE), _name_of(input)):
            for answer in stream.answers(lines):
                empty = False
                if not isinstance(answer, RnncliError):
                    terminal.remark(cases.remarks, output.quiet)
                    cases.remarks.clear()
                    show(RunAnswer(request.selected(answer, select)))
                elif keep_going:
                    terminal.complain(answer)
                    bad += 1
                else:
                    raise answer
        if empty:
            raise InputError("--stream: not one line came.", "Give a tensor a line, as NDJSON.")
    if bad:
        lines_were = "1 line was" if bad == 1 else f"{bad} lines were"
        raise DisagreementError(f"{lines_were} not answered.", "What is wrong is said above.")


class _Cases:
    """The Case of each line.  What flags say is read once; where it is wrong, no line can be answered."""

    def __init__(self, input: InputFlags, layer: LayerFlags, run: RunFlags, all_layers: bool) -> None:
        self.layer, self.run, self.all_layers = layer, run, all_layers
        self.seed = random.randrange(request.SEEDS) if run.seed is None else run.seed
        self.layers = request.layers_of(layer, Document())
        self.options = request.arranging(input, self.layers)
        self.first: Case | None = None
        self.remarks: list[str] = []
        self._remarked: set[str] = set()

    def __call__(self, line: Line) -> Case:
        _demand_a_whole_value(line)
        document = ndjson.record(line.text, line.number, line.name.removesuffix(f"line {line.number}"))
        _demand_inputs_alone(document, line.name)
        where, mask_where = f"{line.name}: ", f"{line.name}: {self.options.mask_where}"
        arranged = arrange(document, self.options._replace(where=where, mask_where=mask_where))
        self._remark(arranged.remarks, line)
        if self.first is None:
            self.first = self._first(arranged)
        return dataclasses.replace(self.first, inputs=arranged.inputs, mask=arranged.mask)

    def _first(self, arranged: Arranged) -> Case:
        try:
            asked = request.asked_of(arranged, self.layers, Document(), "", self.layer, self.run, self.seed)
        except InputError as error:  # of a file that a flag names, and so of every line
            raise UsageError(error.what, error.advice) from None
        return dataclasses.replace(asked, all_layers=self.all_layers)

    def _remark(self, remarks: Sequence[str], line: Line) -> None:
        """What was not said of an earlier line, whatever its numbers were."""
        for text in remarks:
            kind = re.sub(r"\d+", "", text)
            if kind not in self._remarked:
                self.remarks.append(f"{line.name}: {text}" if self._remarked else text)
                self._remarked.add(kind)


def _demand_a_whole_value(line: Line) -> None:
    if line.text.strip() in (b"{", b"["):
        raise InputError(
            f"{line.name}: a value begins here, and goes on in the next line.",
            "A stream has a whole value a line, as --format ndjson prints it.",
        )


def _demand_inputs_alone(document: Document, name: str) -> None:
    for part in ("layer", "initial_state", "weights", "seed", "training"):
        if getattr(document, part) is not None:
            raise InputError(
                f"{name}: it says its own {part}, and the layers of a stream are made once.",
                "Give it as a flag; a line holds inputs, and a mask where there is one.",
            )


def _demand_lines(input: InputFlags) -> None:
    """UsageError where the flags ask for anything but lines of JSON."""
    if input.input_shape is not None:
        raise UsageError("--stream reads lines, and --input-shape makes an input.", "Leave one of them out.")
    for name in ("fill", "batch_column", "delimiter"):
        if getattr(input, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is not for --stream, which reads lines of JSON.", "Leave it out.")
    suffix = Path(input.input or "").suffix.lower().lstrip(".")
    format = input.input_format or (suffix if suffix in readers.formats() else "ndjson")
    if format.lower().lstrip(".") not in (*LINES, "jsonl"):
        raise UsageError(
            f"--stream reads lines of JSON, and the input is {format}.",
            "Leave --stream out: a batch goes through in chunks.",
        )
    if input.input is None and not sources.stdin_holds_data():
        raise UsageError("--stream has nothing to read.", "Pipe NDJSON in, or name a file of it.")


def _name_of(input: InputFlags) -> str:
    """What the names of lines begin with: a file is named, a pipe is not."""
    word = (input.input or "-").lstrip()
    return "" if word[:1] in "[{-" or sources.is_pipe(Path(word)) else f"{word}: "
