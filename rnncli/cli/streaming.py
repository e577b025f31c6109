"""`rnncli run --stream`: a record a line, answered as it comes."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import BinaryIO

from rnncli.answers.run import RunAnswer
from rnncli.arrange import arrange
from rnncli.case import Case, Document
from rnncli.cli import request, sources, terminal
from rnncli.cli.options import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.cli.output import flowing
from rnncli.errors import DisagreementError, InputError, RnncliError, UsageError
from rnncli.readers import ndjson
from rnncli.streams import Line, Stream, is_stateful, whole_lines

AT_ONCE = 1 << 20
"""Bytes that are asked for; a pipe gives what it has."""


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
    cases = _Cases(input, layer, run, all_layers)
    stream = Stream(cases, run.engine)
    bad, empty = 0, True
    with _opened(input) as file, flowing(output) as show:
        for lines in whole_lines(lambda: file.read(AT_ONCE)):
            for answer in stream.answers(lines):
                empty = False
                if not isinstance(answer, RnncliError):
                    terminal.remark(cases.remarks, output.quiet)
                    cases.remarks = ()
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
    """The Case of each line; flags are read, and the layers made out of them, at the first one alone."""

    def __init__(self, input: InputFlags, layer: LayerFlags, run: RunFlags, all_layers: bool) -> None:
        self.flags = (input, layer, run)
        self.all_layers = all_layers
        self.seed = random.randrange(request.SEEDS) if run.seed is None else run.seed
        self.first: Case | None = None
        self.remarks: tuple[str, ...] = ()

    def __call__(self, line: Line) -> Case:
        name = f"line {line.number}"
        document = ndjson.record(line.text, line.number)
        _demand_inputs_alone(document, name)
        input, layer, run = self.flags
        if self.first is None:
            self.first, self.remarks = request.case_of(
                document, name, input, layer, run, self.seed, all_layers=self.all_layers
            )
            self.options = request.arranging(input, self.first.layers)
            # A given state wins over a kept one at every call; here it is where the stream begins.
            start = None if is_stateful(self.first) else self.first.initial_state
            self.next = dataclasses.replace(self.first, initial_state=start)
            return self.first
        arranged = arrange(document, self.options._replace(where=f"{name}: "))
        return dataclasses.replace(self.next, inputs=arranged.inputs, mask=arranged.mask)


def _demand_inputs_alone(document: Document, name: str) -> None:
    for part in ("layer", "initial_state", "weights", "seed", "training"):
        if getattr(document, part) is not None:
            raise InputError(
                f"{name}: it says its own {part}, and the layers of a stream are made once.",
                "Give it as a flag; a line holds inputs, and a mask where there is one.",
            )


def _opened(input: InputFlags) -> BinaryIO:
    if input.input_shape is not None or (input.input is None and not sources.stdin_holds_data()):
        raise UsageError("--stream has nothing to read.", "Pipe NDJSON in, or name a file of it.")
    return sources.opened(input)
