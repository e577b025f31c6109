"""`rnncli conformance`: cases for ONNX's RNN, GRU and LSTM, or a cell, and a judge of what computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.errors import DisagreementError, EngineError, Message, RnncliError, Text, UsageError, count
from rnncli.show.answer import HEAD, Answer, Records, Reply, head
from rnncli.show.page import Column, Page, PagePart, Paragraph, Table, View, cell, line, marks

if TYPE_CHECKING:
    from rnncli.conformance import Answers, Judgement, KitCase, NamedFault
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli conformance --implementation onnxruntime
rnncli conformance --run './my_runtime {model} {inputs} {outputs}'
rnncli conformance --implementation openvino --like model.onnx
rnncli conformance --output kit/
rnncli conformance --cell '@cell.toml(16)' --run './kernel {kit} {results}'
"""
OWN_FILES = OWN_FOLDER = True


def conformance(
    output: OutputFlags,
    *,
    run: str | None,
    implementation: str | None,
    results: str | None,
    timeout: float,
    like: str | None,
    cell: str | None,
    select: list[str] | None,
) -> Reply[Any]:
    """Does an implementation of recurrent operators compute what ONNX says, and if not, how is it wrong?

    Models of one RNN, GRU or LSTM node of ONNX, in which every weight differs, use every attribute and input.
    --run, --implementation and --results judge who computes them; what explains the wrong numbers is named.
    --cell makes such cases of a cell of your own, for kernels that compute it.
    Exit code 1 if a case is wrong, crashed or timed out, 3 if none was answered. Alone, the command lists the
    cases, and --output writes them into a folder, in the layout of ONNX's backend tests.
    """
    from rnncli.cli import files
    from rnncli.conformance import choose_cases, judge, name_faults
    from rnncli.inputs.source import words_of
    from rnncli.process.progress import blocks

    given = {"--run": run, "--implementation": implementation, "--results": results}
    chosen = [flag for flag, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise UsageError("{first} does not go with {second}.", "Give one.", first=chosen[0], second=chosen[1])
    if cell is not None and (like is not None or implementation is not None):
        flag = "--like" if like is not None else "--implementation"
        raise UsageError("{flag} is for nodes of ONNX, not for {--cell}.", "Leave {flag} out.", flag=flag)
    cases, remarks = choose_cases(like, select, cell), list[Text]()
    if not chosen:
        return _list(cases, output)
    files.require_place(output.output, words_of({"--like": like}))
    _ = output.format_name  # refuses an unknown suffix before anything runs
    if results is None and cell is None:
        cases, remarks = _leave_out_new(cases)
    name, answers = _ask(run, implementation, results, cases, timeout)
    judged = {}
    for _ in blocks(Message("cases"), len(cases), 1):  # how far it is is reported
        if (answered := next(answers, None)) is not None:
            judged[answered[0].name] = judge(*answered)
    judgements = [judged[case.name] for case in cases if case.name in judged]
    shown = ConformanceAnswer(name, judgements, name_faults(judgements))
    return Reply(shown, remarks, _explain_failure(judgements))


def _ask(
    run: str | None, implementation: str | None, results: str | None, cases: Sequence[KitCase], timeout: float
) -> tuple[str, Answers]:
    from rnncli.conformance import read_results, run_implementation, run_program, version_of
    from rnncli.inputs.source import expand_user

    if implementation is not None:
        version = version_of(implementation)
        return f"{implementation} {version}", run_implementation(implementation, cases, timeout)
    if run is not None:
        return run, run_program(run, cases, timeout)
    folder = expand_user(results or "")
    answers = list(read_results(folder, cases))
    if not answers:
        advice = Message("It must have files such as {name}.npz.", name=cases[0].name)
        raise UsageError("{--results}: {folder} has no answer to a case.", advice, folder=folder)
    return str(results), iter(answers)


def _leave_out_new(cases: Sequence[KitCase]) -> tuple[tuple[KitCase, ...], list[Text]]:
    from rnncli.conformance import list_too_new

    too_new = list_too_new(cases)
    if not too_new:
        return tuple(cases), []
    note = "left out, because the installed onnx is too old to write them: {names}."
    names = ", ".join(case.name for case in too_new)
    if len(too_new) == len(cases):
        raise EngineError(note, Message("pip install {install}", install="-U onnx"), names=names)
    return tuple(case for case in cases if case not in too_new), [Message(note, names=names)]


def _explain_failure(judgements: Sequence[Judgement]) -> RnncliError | None:
    if not any(judgement.outputs for judgement in judgements):
        first = next((judgement for judgement in judgements if judgement.reason), judgements[0])
        return EngineError(
            "no case was answered. {name}: {reason}.",
            "Try one case, such as {--select:name}.",
            name=first.case.name,
            reason=first.reason or Message(first.verdict),
        )
    bad = sum(judgement.verdict in ("wrong", "crashed", "timed out") for judgement in judgements)
    if not bad:
        return None
    return DisagreementError(
        "wrong, crashed or timed out: {count} of {total} cases.", count=bad, total=len(judgements)
    )


def _list(cases: Sequence[KitCase], output: OutputFlags) -> Reply[Any]:
    """Return the list of the cases; --output names a folder for them, or a file for the list."""
    from rnncli.cli import files
    from rnncli.conformance import write_kit
    from rnncli.inputs.source import expand_user
    from rnncli.show import formats

    path = output.output or ""
    suffixes = {end for name, form in formats.FORMATS.items() for end in (name, *form.suffixes)}
    if output.is_stdout or Path(path).suffix[1:].casefold() in suffixes:
        files.require_place(output.output)
        return Reply(CasesAnswer(cases))
    folder, remarks = expand_user(path), list[Text]()
    try:
        is_kit = (folder / "cases.json").is_file()
        if folder.exists() and not is_kit and (folder.is_file() or any(folder.iterdir())):
            raise UsageError("{place} exists, and it is not a kit.", "Name a new folder.", place=path)
        if cases[0].opset:
            cases, remarks = _leave_out_new(cases)
        write_kit(folder, cases)
    except OSError as error:
        raise UsageError(
            "{output}: cannot be written: {strerror}.",
            "Name another folder.",
            output=error.filename or path,
            strerror=error.strerror or error,
        ) from None
    return Reply(
        CasesAnswer(cases), [Message("{place} has the cases.", place=path), *remarks], to_stdout=True
    )


SEES = {
    "basic": Message("the order of gates, biases and axes: every weight is another number"),
    "bias": Message("what is added where B is missing"),
    "one_step": Message("a sequence of a single step"),
    "weights_as_inputs": Message("weights that are not constants of the graph"),
    "initial_state": Message("whether each initial state is used, and where"),
    "outputs": Message("every subset of Y, Y_h and Y_c"),
    "reverse": Message("the order of time in Y, and which step the final states follow"),
    "bidirectional": Message("the half of each direction in weights, states and outputs"),
    "linear_before_reset": Message("where the reset gate of a GRU applies, and Rbh with it"),
    "sequence_lens": Message("where each sequence ends: zeros in Y, the final states, the start of reverse"),
    "length_0": Message("sequences without a step"),
    "layout": Message("the batch as the first axis of inputs, states and outputs"),
    "activations": Message("which function belongs to which gate and direction"),
    "alpha_beta": Message("the numbers of functions: given, default, and to which function they go"),
    "clip": Message("the bound before each activation"),
    "input_forget": Message("the forget gate as 1 minus the input gate"),
    "peepholes": Message("the order of P, and which cell state each gate reads"),
    "float16": Message("half precision"),
    "float64": Message("double precision, not float32 in between"),
    "chunk_edges": Message("sequences that end around the usual sizes of a chunk"),
    "padding": Message("where each sequence ends: the last states; padded steps are not judged"),
    "decay": Message("states that are forgotten at once, and states that are kept"),
    "tiny_keys": Message("an eps in the wrong place: every second time step is tiny"),
    "large_gates": Message("the ends of each activation"),
    "empty_batch": Message("a batch of no sequences"),
}
"""What the cases of each attribute show."""
MOST_NAMES, MOST_REASONS = 3, 6
"""The cases beside an explanation, and the reasons of a verdict, that a page shows without --full."""
LONGEST = 100
"""The last characters of the reason of a refusal, which a page shows without --full."""
STYLES = {
    "right": "",
    "wrong": "alarm",
    "refused": "dim",
    "crashed": "alarm",
    "timed out": "alarm",
    "unclear": "dim",
}
"""Of the number of each verdict."""
VERDICTS = tuple(STYLES)

CASE = {
    "name": str,
    "operator": str,
    "attribute": str,
    "inputs": list[str],
    "outputs": list[str],
    "type": str,
    "tolerance": float,
    "readings": list[str],
}
FIRST = {"tensor": str, "step": int | None, "index": list[int]}
JUDGED = {
    "name": str,
    "attribute": str,
    "verdict": VERDICTS,
    "explanations": list[str],
    "reason": str,
    "first?": FIRST,
}
FAULT = {"name": str, "look": str, "cases": list[str]}
SUMS = {"implementation": str, "verdicts": dict[str, int]}
DOCUMENTS = (
    HEAD | {"cases": [CASE]},
    HEAD | SUMS | {"cases": [JUDGED], "explanations": [FAULT]},
)


class CasesAnswer(Answer):
    """The list of the cases, each as the kit's file `cases.json` has it."""

    command = "conformance"

    def __init__(self, cases: Sequence[KitCase]) -> None:
        from rnncli.conformance import describe

        self.cases = [describe(case) for case in cases]

    def document(self, view: View) -> dict[str, Any]:
        """Return what the kit's file says."""
        return {**head(), "cases": self.cases}

    def page(self, view: View) -> Page:
        """Return a row for each attribute."""
        numbers = Counter(case["attribute"] for case in self.cases)
        rows = tuple(
            (cell(name, "strong"), cell(str(number)), cell(view.say(SEES[name]), "dim"))
            for name, number in numbers.items()
        )
        titles = ("attribute", False), ("cases", True), ("what they see", False)
        headings = tuple(Column(view.say(title), right) for title, right in titles)
        names = ", ".join(dict.fromkeys(case["operator"] for case in self.cases))
        total = view.say("{cases} for {names}", cases=count(len(self.cases), "case"), names=names)
        return Page(line(total, "strong"), (), (Table(headings, rows),))

    def records(self, view: View) -> Records:
        """Return a row for each case."""
        return tuple(self.cases[0]), (tuple(map(_join, case.values())) for case in self.cases)


class ConformanceAnswer(Answer):
    """The verdicts, and what would explain the wrong ones.

    name: of the implementation, with its version; or the program or the folder.
    """

    command = "conformance"

    def __init__(
        self, name: str, judgements: Sequence[Judgement], explanations: Sequence[NamedFault]
    ) -> None:
        self.name, self.judgements, self.explanations = name, judgements, explanations
        self.verdicts = Counter(judgement.verdict for judgement in judgements)

    def document(self, view: View) -> dict[str, Any]:
        """Return every case with its verdict, and every explanation with its cases."""
        explanations = [item._asdict() | {"look": view.say(item.look)} for item in self.explanations]
        return {
            **head(),
            "implementation": self.name,
            "verdicts": {verdict: self.verdicts[verdict] for verdict in VERDICTS},
            "cases": self._list_cases(view),
            "explanations": explanations,
        }

    def records(self, view: View) -> Records:
        """Return a row for each case."""
        names = ("name", "attribute", "verdict", "explanations")
        return names, (tuple(_join(case[name]) for name in names) for case in self._list_cases(view))

    def _list_cases(self, view: View) -> list[dict[str, Any]]:
        return [
            {
                "name": judgement.case.name,
                "attribute": judgement.case.attribute,
                "verdict": judgement.verdict,
                "explanations": [
                    explanation.name
                    for explanation in self.explanations
                    if judgement.case.name in explanation.cases
                ],
                "reason": view.say(judgement.reason),
                **({} if judgement.first is None else {"first": judgement.first}),
            }
            for judgement in self.judgements
        ]

    def page(self, view: View) -> Page:
        """Return the matrix, then the explanations, then why other cases have no numbers."""
        shown = [verdict for verdict in VERDICTS if self.verdicts[verdict] or verdict in ("right", "wrong")]
        matrix = Counter((judgement.case.attribute, judgement.verdict) for judgement in self.judgements)
        rows = []
        for attribute in dict.fromkeys(judgement.case.attribute for judgement in self.judgements):
            numbers = [(str(matrix[attribute, verdict] or ""), verdict) for verdict in shown]
            cells = (cell(number, STYLES[verdict]) for number, verdict in numbers)
            rows.append((cell(attribute, "strong"), *cells))
        headings = (Column(view.say("attribute")), *(Column(view.say(verdict), True) for verdict in shown))
        counted = ", ".join(f"{self.verdicts[verdict]} {view.say(verdict)}" for verdict in shown)
        title = (self.name, view.say(count(len(self.judgements), "case")), counted)
        parts = (Table(headings, tuple(rows)), *self._explain(view), *self._list_reasons(view))
        return Page(Paragraph(marks(view).dot.join(title), "strong", breaks="dots"), (), parts)

    def _explain(self, view: View) -> Iterator[PagePart]:
        if self.explanations:
            yield ()
            yield line(view.say("why:"), "heading")
        for explanation in self.explanations:
            yield Paragraph(_with_cases(explanation.name, explanation.cases, view), mark="- ")
            yield Paragraph(view.say(explanation.look), "dim", mark="  ")

    def _list_reasons(self, view: View) -> Iterator[PagePart]:
        ellipsis = marks(view).ellipsis
        for verdict in VERDICTS[2:]:
            cases: dict[str, list[str]] = {}
            for judgement in self.judgements:
                if judgement.verdict == verdict:
                    reason = view.say(judgement.reason).replace(judgement.case.name, ellipsis)
                    if verdict == "refused" and len(reason) > LONGEST and not view.full:
                        reason = ellipsis + reason[-LONGEST:]
                    cases.setdefault(reason, []).append(judgement.case.name)
            if not cases:
                continue
            yield ()
            yield line(f"{view.say(verdict)}:", "heading")
            reasons = sorted(cases, key=lambda reason: -len(cases[reason]))
            shown = reasons if view.full else reasons[:MOST_REASONS]
            for reason in shown:
                yield Paragraph(_with_cases(reason.rstrip("."), cases[reason], view), "dim", mark="- ")
            if rest := len(reasons) - len(shown):
                yield Paragraph(view.say("{count} more: add --full", count=rest), "dim", mark="- ")


def _join(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value


def _with_cases(text: str, cases: Sequence[str], view: View) -> str:
    shown = cases if view.full else cases[:MOST_NAMES]
    names = ", ".join(shown) + (f", {marks(view).ellipsis}" if len(shown) < len(cases) else "")
    return marks(view).dot.join(filter(None, (text, view.say(count(len(cases), "case")), names)))
