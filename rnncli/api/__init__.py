"""The commands as Python functions; they share all processing with the command line.

Each function takes `inputs` (numbers, the path of a file or the name of a built-in sample; default: the
sample `sentence`), `layer` (a name, an expression, a Keras config, or a list of these for a stack), and
the command line's flags as keywords.  Raises rnncli.errors.RnncliError, whose message says what is wrong
and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal, Unpack

from rnncli.api import _case, _comparison, _values
from rnncli.api._comparison import compare
from rnncli.api._options import Options
from rnncli.api._results import Report, by_name, view_of
from rnncli.api._results import RunResult as Result
from rnncli.api._signature import expand_options, require_kind
from rnncli.cli import result_checks
from rnncli.cli.case_request import add_batch
from rnncli.compute import engines
from rnncli.compute.compare import Tolerance, TolerancePair
from rnncli.compute.keras_differences import note_sequential
from rnncli.errors import UsageError

__all__ = ["Report", "Result", "compare", "explain", "gradients", "matrix", "run", "shape", "trace", "why"]


@expand_options
def run(
    inputs: Any = None,
    layer: Any = None,
    *,
    all_layers: bool = False,
    all_calls: bool = False,
    select: str | Sequence[str] | None = None,
    check: bool = False,
    expect: Any = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    stats: bool = False,
    fail_on_nan: bool = False,
    memory: int | str | None = None,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Result:
    """Compute what a layer returns; the result has arrays by name, in Keras's order.

    inputs: shape (batch, timesteps, features); the batch axis may be omitted for one sequence.
    all_calls: with calls=N, return every call, `r["call 1/hidden_state"]`.  stats: compute `r.stats`.
    select: name or names of the tensors to return.  Raises UsageError if there is no such tensor.
    check: also run TensorFlow.  Raises DisagreementError beyond atol (default 1e-6) and rtol (1e-5).
    expect: arrays by name, or their file, to compare with.  atol, rtol: also by name, `{"hidden_state": 1}`.
    fail_on_nan: Raises DisagreementError for NaN.  memory: limit for one chunk, in bytes or as "256MB".
    hold: gates to hold at a value, "forget[:, 1]=1@2:"; `r.differences` compares with the run without them.
    """
    from rnncli.commands.run.answer import RunAnswer, stats_of

    limits = _comparison.tolerances_of_check(atol, rtol, check=check, expect=expect)
    if options.get("model") is not None:
        from rnncli.api import _model
        from rnncli.commands.run.saved_model import refuse_layer_flags

        refuse_layer_flags(memory=memory, all_calls=all_calls or None, hold=hold or None)
        result, beyond = _model.run(inputs, layer, options, everything=all_layers, stats=stats, limits=limits)
    else:
        case, remarks = _case.build_case(inputs, layer, options, all_layers=all_layers, all_calls=all_calls)
        case = _case.hold_gates(case, hold, options, check=check)
        computed, beyond, notes = _comparison.run_and_check(case, options, limits, memory)
        result = Result.of(computed, remarks=(*remarks, *notes), view=view_of(options))
    result = _select(result, select, limits if expect is None else None)
    _comparison.require_checks(beyond, result, limits, RunAnswer(result).first_nan() if fail_on_nan else None)
    result = _require_expected(result, expect, atol, rtol)
    return replace(result, stats=by_name(stats_of(result))) if stats and result.answer is None else result


@expand_options
def shape(
    inputs: Any = None, layer: Any = None, *, all_layers: bool = False, **options: Unpack[Options]
) -> Report:
    """Return tensors, shapes and parameter counts without computing any numbers.

    input_shape: a size may be None or a name, `("batch", None, 8)`.
    """
    from rnncli.commands.shape.answer import ShapeAnswer, outline

    if options.get("input_shape") is not None and inputs is None:
        stack = _case.stack_of(layer, options, all_layers=all_layers)
        sizes, remarks = add_batch(_case.shape_of(inputs, options), stack.input_rank)
        remarks += note_sequential(stack)
        specs = stack.specs
    else:
        case, remarks = _case.build_case(inputs, layer, options, all_layers=all_layers)
        specs, sizes = case.specs, case.inputs.shape
    found = outline(specs, sizes, all_layers=all_layers)
    return Report("shape", specs, found, ShapeAnswer(found), remarks, view_of(options))


@expand_options
def matrix(inputs: Any = None, layer: Any = None, **options: Unpack[Options]) -> Report:
    """Run all four combinations of return_sequences and return_state: `found.results[True, False]`."""
    from rnncli.commands.matrix.answer import MatrixAnswer, combinations

    for name in ("return_sequences", "return_state"):
        if dict(options).get(name) is not None:
            raise UsageError(
                "{name}: matrix shows every combination of it.", "Leave it out, or use run.", name=name
            )
    case, remarks = _case.build_case(inputs, layer, options)
    found = combinations(case, options.get("engine") or "auto")
    return Report("matrix", case.specs, found, MatrixAnswer(found), remarks, view_of(options))


@expand_options
def trace(
    inputs: Any = None,
    layer: Any = None,
    *,
    step: int | Sequence[int] | None = None,
    unit: int | Sequence[int] | None = None,
    batch: int | Sequence[int] | None = None,
    gate: str | Sequence[str] | None = None,
    check: bool = False,
    expect: Any = None,
    atol: Tolerance | None = None,
    rtol: Tolerance | None = None,
    stats: bool = False,
    fail_on_nan: bool = False,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Return every gate and state at every time step: `t["forget/activation"]`, (batch, steps, units).

    step, unit, batch, gate: keep only these indices, or the gates of these names.
    check, expect, atol, rtol, fail_on_nan, hold: same as for `run`.
    stats: add statistics to the printed answer.
    """
    from rnncli.commands.trace.answer import TraceAnswer, stats_of
    from rnncli.compute import trace as tracing

    _require_steps(options)
    _values.require_texts("gate", gate, "For example gate='forget'.")
    for name, indices in (("step", step), ("unit", unit), ("batch", batch)):
        _require_indices(name, indices)
    tolerances = _comparison.tolerances_of_check(atol, rtol, check=check, expect=expect)
    case, remarks, chosen = _case.build_or_choose(inputs, layer, options)
    case_with_outputs = tracing.with_all_outputs(_case.hold_gates(case, hold, options, check=check))
    result = tracing.trace(case_with_outputs)
    result, beyond, notes = result_checks.verify(case_with_outputs, result, tolerances, chosen=chosen)
    wanted = tracing.TraceSelection(_several(step), _several(unit), _several(batch), _several(gate))
    kept = tracing.narrow(tracing.list_loops(result), wanted)
    answer = TraceAnswer(replace(result, specs=case.specs), kept, stats_of(kept) if stats else {})
    _comparison.require_known_names(result.outputs, tolerances if expect is None else None)
    _comparison.require_checks(beyond, result, tolerances, answer.first_nan() if fail_on_nan else None)
    left = _comparison.require_expected(
        answer.named_tensors(), result.engine, expect, atol, rtol, require_names=True
    )
    return Report("trace", case.specs, kept, answer, (*remarks, *notes, *left), view_of(options))


@expand_options
def explain(
    tensor: str,
    inputs: Any = None,
    layer: Any = None,
    *,
    depth: int = 1,
    terms: int | None = 10,
    hold: str | Sequence[str] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Explain how one number is computed, `explain("last_cell_state[0,1]")`; `found.value` is the number.

    terms: number of largest terms of a sum to list; None lists all.
    depth: number of time steps to explain; 1 does not follow the states back.  hold: same as for `run`.
    """
    from rnncli.commands.explain.answer import ExplainAnswer
    from rnncli.compute import derivation as explaining

    _require_steps(options)
    if not isinstance(tensor, str):
        raise UsageError("explain needs the name of a number first.", "For example 'hidden_state[0,2]'.")
    _values.require_integer("depth", depth, 1, 2**31)
    _values.require_integer("terms", terms, 0, 2**31)
    tensor = tensor.strip()
    case, remarks, prefix = _case.build_at_address(inputs, layer, options, tensor)
    case = _case.hold_gates(case, hold, options)
    most = None if options.get("full") else terms
    found, result = explaining.explain(case, tensor.removeprefix(prefix), depth, most, prefix)
    return Report("explain", case.specs, found, ExplainAnswer(found, result), remarks, view_of(options))


@expand_options
def gradients(
    inputs: Any = None,
    layer: Any = None,
    *,
    of: str | None = None,
    against: Sequence[Any] = (),
    **options: Unpack[Options],
) -> Report:
    """Compute how far back the output depends on the input: gradient norms per time step, using Keras.

    `found` has one item per layer.
    against: other layers to compare with, also several in a text, "lstm,gru"; only names take the options.
    """
    from rnncli.commands.gradients import curves, variants
    from rnncli.commands.gradients.answer import GradientsAnswer

    other_engine = options.get("engine") not in (None, "auto", "tensorflow")
    if other_engine or options.get("training"):
        raise UsageError(
            "gradients are computed by tensorflow, for one call without dropout.",
            "Leave {word} out.",
            word="engine" if other_engine else "training",
        )
    _values.require_texts("of", of, "For example of='hidden_state'.")
    first, *others = variants.list_layers(layer, _several(against))
    given = _case.layer_options(options)
    if first is not layer:
        layer = _case.layers_of(first)
        options = _case.replace_layer_options(options, variants.own_options(layer, given))
    plain: Options = options if options.get("model") else {**options, "training": False}
    case, remarks = _case.build_case(inputs, layer, plain, one_call=True)
    if case.calls > 1:
        raise UsageError("gradients are computed for one call.", "Leave calls out.")
    cases = [case, *variants.make_variants(case, list(map(_case.layers_of, others)), given)]
    found = tuple(curves.gradients(one, of) for one in cases)
    return Report("gradients", case.specs, found, GradientsAnswer(found), remarks, view_of(options))


def why(text: str, *, width: int | None = None, lang: Literal["en", "ko"] | None = None) -> Report:
    """Find what causes an error message of Keras, TensorFlow or PyTorch, and run its fixes.

    text: the message, or a whole traceback.  `found.cause` names the cause.
    Raises DisagreementError if the message is not known.
    """
    from rnncli.commands.why.answer import WhyAnswer
    from rnncli.commands.why.diagnosis import diagnose

    if not isinstance(text, str) or not text.strip():
        raise UsageError("why needs the text of an error message.", "Give the last lines of a traceback.")
    require_kind("lang", lang)
    view = view_of({"width": width, "lang": lang})
    found = diagnose(text)
    return Report("why", (), found, WhyAnswer.of(found), (), view)


def _select(found: Result, select: str | Sequence[str] | None, limits: TolerancePair | None) -> Result:
    """Return the result with the tensors to keep.  limits: of a check, by names of all tensors."""
    _comparison.require_known_names(found.outputs, limits)
    _values.require_texts("select", select, _comparison.NAMES)
    return replace(found, outputs=result_checks.select_tensors(found, _several(select)).outputs)


def _require_expected(found: Result, expect: Any, atol: Tolerance | None, rtol: Tolerance | None) -> Result:
    """Return the result with remarks on the tensors that are not compared."""
    left = _comparison.require_expected(found.outputs, found.engine, expect, atol, rtol)
    return replace(found, remarks=(*found.remarks, *left))


def _several(one: Any) -> Any:
    """Wrap a single value such as `3` or `"forget"` in a list."""
    return [one] if isinstance(one, (str, Integral)) else one


def _require_indices(name: str, indices: Any) -> None:
    """Raise InputError for anything but a whole number or a list of them."""
    for index in indices if isinstance(indices, (list, tuple)) else [indices]:
        _values.require_integer(name, index, -(2**31), 2**31)


def _require_steps(options: Options) -> None:
    if options.get("engine") not in (None, "auto", engines.STEPWISE):
        raise UsageError(
            "engine={value!r}: this engine does not record steps.",
            "Leave it out.",
            value=options.get("engine"),
        )
