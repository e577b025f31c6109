"""`rnncli.compare`, and the checks of `rnncli.run` and `rnncli.trace`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from numbers import Real
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from rnncli.api import _case, _values
from rnncli.api._options import Options
from rnncli.api._results import Report, view_of
from rnncli.api._signature import expand_options
from rnncli.case import Case
from rnncli.cli import result_checks
from rnncli.cli.case_request import Remarks
from rnncli.cli.expectation import Expectation, require_same
from rnncli.cli.tolerances import ATOL, RTOL, require_known
from rnncli.compute.compare import Tolerance, TolerancePair
from rnncli.errors import UsageError
from rnncli.inputs.expected import ALONE, read_expected
from rnncli.result import NamedTensor, Result

if TYPE_CHECKING:
    from rnncli.commands.compare.comparison import Comparison, ComparisonReport


TWO = "Name two, such as engines=['numpy', 'tensorflow']."
NAMES = "Give names, such as select='hidden_state'."


@expand_options
def compare(
    inputs: Any = None,
    layer: Any = None,
    *,
    engines: Sequence[str] | str | None = None,
    expect: Any = None,
    split: int | None = None,
    select: Sequence[str] | str | None = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    **options: Unpack[Options],
) -> Report:
    """Compare engines; or a result with stored arrays; or one call with consecutive pieces.

    The result is falsy if a tensor differs, `r.agrees`.  `found` has one item per tensor and pair.
    engines: their names; default: all that can compute the layer.
    expect: arrays by name, one array, or the path of a file that holds them.
    split: time steps of each piece, which starts from the previous piece's last state.
    atol, rtol: same as for `run`.
    """
    from rnncli.commands.compare import comparison, engine_pairs

    if split is not None and (engines is not None or expect is not None):
        raise UsageError("split compares one engine with itself.", "Leave engines and expect out.")
    _values.require_integer("split", split, 1, 2**31)
    _values.require_texts("select", select, NAMES)
    engine, alone = options.get("engine") or "auto", expect is not None or split is not None
    settings = comparison.Comparison(
        complete_tolerances(atol, rtol),
        engine_pairs.choose_engines(_engine_names(engines), engine, alone=alone),
        engine,
        None if expect is None else _expectation(expect),
        split,
        (select,) if isinstance(select, str) else tuple(select or ()),
    )
    answer, remarks = _compare(inputs, layer, options, settings)
    return Report("compare", answer.header.specs, answer.differences, answer, remarks, view_of(options))


def _compare(inputs: Any, layer: Any, options: Options, settings: Comparison) -> ComparisonReport:
    """Compare the layer, or every layer of a model with what is expected."""
    from rnncli.commands.compare import comparison

    if options.get("model") is not None and settings.expected is not None and not settings.engines:
        from rnncli.api import _model

        return comparison.compare_model(_model.read_call(inputs, layer, options), settings)
    case, remarks = _case.build_case(inputs, layer, options, one_call=settings.split is not None)
    report = comparison.compare_case(case, settings)
    return report._replace(remarks=(*remarks, *report.remarks))


def _engine_names(engines: Sequence[str] | str | None) -> str | None:
    """Return the names with commas, as on the command line; None for all.  Raises UsageError for others."""
    if engines is None:
        return None
    if not engines:
        raise UsageError("engines is {engines!r}.", TWO, engines=engines)
    _values.require_texts("engines", engines, TWO)
    return engines if isinstance(engines, str) else ",".join(engines)


def run_and_check(
    case: Case, options: Options, tolerances: TolerancePair | None, memory: int | str | None
) -> tuple[Result, list[str], Remarks]:
    """Return the result with its differences, the tensors beyond the tolerances, and remarks."""
    from rnncli import compute

    budget = _parse_memory(memory)
    result = compute.run(case, options.get("engine") or "auto", budget)
    return result_checks.verify(case, result, tolerances, budget)


def require_checks(
    beyond: Sequence[str], found: Result, tolerances: TolerancePair | None, nan: str | None
) -> None:
    """Raise DisagreementError if a tensor of `found` is in `beyond`, or if there is a NaN.

    tolerances: None without a check.  nan: its place; None if it may be there.
    """
    if tolerances is not None:
        result_checks.require_agreement(beyond, found, tolerances)
    result_checks.refuse_nan(nan)


def _parse_memory(memory: int | str | None) -> int | None:
    """Return the bytes for one chunk; None for the default."""
    from rnncli.process.memory import parse

    if isinstance(memory, str):
        return parse(memory)
    _values.require_integer("memory", memory, 1, 2**63)
    return memory


def require_expected(
    tensors: Sequence[NamedTensor],
    engine: str,
    expect: Any,
    atol: Tolerance | None,
    rtol: Tolerance | None,
    *,
    require_names: bool = False,
) -> Remarks:
    """Raise DisagreementError if a tensor differs from the one in `expect`; return remarks on the others.

    require_names: refuse a tensor without a name; a trace has several tensors.
    """
    if expect is None:
        return ()
    expected = _expectation(expect)
    if require_names:
        expected.require_names("Give arrays by name, such as another trace's tensors().")
    differences, remarks = expected.compare(tensors, engine, complete_tolerances(atol, rtol))
    require_same(differences)
    return remarks


def tolerances_of_check(
    atol: Tolerance | None, rtol: Tolerance | None, *, check: bool, expect: Any
) -> TolerancePair | None:
    """Return the tolerances of a check; None without one.  Raises UsageError if nothing is compared."""
    for name, tolerance in (("atol", atol), ("rtol", rtol)):
        if tolerance is not None and not check and expect is None:
            raise UsageError("{name} needs check or expect.", "Add check=True.", name=name)
    return complete_tolerances(atol, rtol) if check else None


def require_known_names(tensors: Sequence[NamedTensor], tolerances: TolerancePair | None) -> None:
    """Raise UsageError if a tolerance of a check names a tensor that is not there."""
    if tolerances is not None:
        require_known(tolerances, [tensor.name for tensor in tensors])


def complete_tolerances(atol: Tolerance | None, rtol: Tolerance | None) -> TolerancePair:
    """Return both tolerances; a missing one, and tensors that a mapping leaves out, get the default."""
    return _complete("atol", atol, ATOL), _complete("rtol", rtol, RTOL)


def _complete(name: str, tolerance: Tolerance | None, default: float) -> Tolerance:
    for one in tolerance.values() if isinstance(tolerance, Mapping) else [tolerance]:
        if one is not None and not (isinstance(one, Real) and 0 <= one < inf):
            raise UsageError("{name} is {one!r}.", "It must be a number, 0 or greater.", name=name, one=one)
    if isinstance(tolerance, Mapping):
        return {"": default, **tolerance}
    return default if tolerance is None else tolerance


def _expectation(expect: Any) -> Expectation:
    if isinstance(expect, (str, PathLike)):
        source = _values.file(expect, "expect")
        return Expectation(str(expect), read_expected(source._replace(name=str(expect))))
    arrays = expect if isinstance(expect, Mapping) else {ALONE: expect}
    return Expectation(
        "expect", {str(name): _values.array(value, "expect") for name, value in arrays.items()}
    )
