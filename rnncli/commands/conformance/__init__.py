"""`rnncli conformance`: cases for ONNX's RNN, GRU and LSTM, or a cell, and a judge of what computes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.errors import DisagreementError, EngineError, Message, RnncliError, Text, UsageError

if TYPE_CHECKING:
    from rnncli.commands.conformance.cases import KitCase
    from rnncli.commands.conformance.judge import Judgement
    from rnncli.commands.conformance.runners import Answers
    from rnncli.show.answer import Reply
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
    from rnncli.commands.conformance.answer import ConformanceAnswer
    from rnncli.commands.conformance.judge import judge
    from rnncli.commands.conformance.naming import name_faults
    from rnncli.commands.conformance.selection import choose_cases
    from rnncli.inputs.source import words_of
    from rnncli.process.progress import blocks
    from rnncli.show.answer import Reply

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
    from rnncli.commands.conformance import implementations, runners
    from rnncli.inputs.source import expand_user

    if implementation is not None:
        version = implementations.version_of(implementation)
        return f"{implementation} {version}", runners.run_implementation(implementation, cases, timeout)
    if run is not None:
        return run, runners.run_program(run, cases, timeout)
    folder = expand_user(results or "")
    answers = list(runners.read_results(folder, cases))
    if not answers:
        advice = Message("It must have files such as {name}.npz.", name=cases[0].name)
        raise UsageError("{--results}: {folder} has no answer to a case.", advice, folder=folder)
    return str(results), iter(answers)


def _leave_out_new(cases: Sequence[KitCase]) -> tuple[tuple[KitCase, ...], list[Text]]:
    from rnncli.commands.conformance.kit import list_too_new

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
    from rnncli.commands.conformance.answer import CasesAnswer
    from rnncli.commands.conformance.kit import write_kit
    from rnncli.inputs.source import expand_user
    from rnncli.show import formats
    from rnncli.show.answer import Reply

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
