"""What each command asks of a case: the stages joined, from a Case to its answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnncli import memory
from rnncli.case import Case, Shape, Spec
from rnncli.compute import call as calling
from rnncli.compute import chunks, engines
from rnncli.errors import LayerError, UsageError
from rnncli.layers import make
from rnncli.layers.stack import Stack
from rnncli.readers import fit
from rnncli.result import Matrix, Result, TensorInfo

if TYPE_CHECKING:
    from rnncli.commands.explain.explanation import Explanation
    from rnncli.commands.gradients.curves import Gradients


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """What the layers return.

    engine: `auto` takes the fastest that gives Keras's numbers for this case.
    budget: bytes for the work on one chunk of the batch; None for what this machine can spare.
    Raises LayerError or InputError where case cannot be meant, EngineError where the engine fails.
    """
    return chunks.joined(parts(case, engine, plan(case, budget)), len(case.inputs))


def plan(case: Case, budget: int | None = None) -> tuple[slice, ...]:
    """The chunks of the batch that are computed one after the other.  budget: as in `run`."""
    return chunks.plan(case, memory.spare() if budget is None else budget)


def parts(case: Case, engine: str, planned: tuple[slice, ...]) -> Iterator[Result]:
    """What the layers return for each chunk; nothing is kept of those that were taken."""
    from rnncli import arrays

    fit.demand_room(case, planned[0].stop)
    call = calling.opened(case, engine)
    case = dataclasses.replace(case, initial_state=fit.initial_state(case))
    for chunk in planned:
        yield call(chunks.part(case, chunk))
        arrays.release(case.inputs)


def trace(case: Case) -> Result:
    """What the layers return, and every step on the way there, by the engine that keeps them.

    Raises UsageError where that engine cannot compute the layers, or not in their dtype.
    """
    from rnncli.compute import trace as tracing

    fit.refuse_the_impossible(case)
    refusal = engines.get("numpy").refusal(case)
    if refusal:
        raise UsageError(
            f"the engine numpy, which alone keeps steps, cannot trace this: {refusal}.",
            "Take rnncli run, or trace lstm, gru or another recurrent layer in float32.",
        )
    result = run(dataclasses.replace(case, traced=True), "numpy")
    tracing.verify(result)
    return result


def witnessed(case: Case) -> Case:
    """The same with every layer's outputs and states returned, so that all of a trace can be held to them."""
    return dataclasses.replace(
        case,
        layers=tuple(make(spec).with_returns(return_state=True) for spec in case.layers),
        all_layers=True,
    )


def explain(case: Case, text: str, depth: int = 1, terms: int | None = None) -> tuple[Explanation, Result]:
    """Where the number that `text` names comes from, and the trace that it was read from.

    See explain.explained.  Raises UsageError where `text` names no single number.
    """
    from rnncli.commands.explain import explanation, locate
    from rnncli.commands.explain import terms as explaining

    wide = witnessed(case)
    fit.refuse_the_impossible(wide)
    target = explanation.target(text, locate.infos(Stack(wide.layers), wide.inputs.shape))
    result = trace(wide)
    found = explaining.explained(case, result, target, depth, terms)
    return found, dataclasses.replace(result, layers=case.layers)


def gradients(case: Case, of: str | None = None) -> Gradients:
    """How much the numbers `of` change with every state and every input; default: the last step's output.

    Through Keras, whatever else could compute the case.  States are those of the last recurrent layer.
    The last layer's states may be asked for whether it returns them or not.
    Raises UsageError where there are no such numbers, or no such layer.
    """
    from rnncli.commands.gradients import curves as slopes
    from rnncli.commands.gradients import tape

    fit.refuse_the_impossible(case)
    said = calling.conditions(case)
    case = dataclasses.replace(case, initial_state=fit.initial_state(case))
    calling.demand_able(case, "tensorflow")
    last = make(case.layers[-1]).with_returns(return_state=True)
    wide = dataclasses.replace(case, layers=(*case.layers[:-1], last))
    target = slopes.target(of, Stack(wide.layers).outputs(case.inputs.shape))
    weights, _ = calling.weights_and_seeds(case, "tensorflow")
    place = slopes.layer_of(case)
    norms = tape.norms(wide, weights, place, target.batch, target.position, target.entries)
    found = slopes.of(case, target, norms.states, norms.inputs, norms.skipped)
    return dataclasses.replace(found, conditions=said)


def matrix(case: Case, engine: str = "auto") -> Matrix:
    """The last layer with every combination of return_sequences and return_state."""
    return Matrix(
        {
            (sequences, state): run(
                dataclasses.replace(case, layers=_returning(case.layers, sequences, state)), engine
            )
            for sequences in (False, True)
            for state in (False, True)
        }
    )


def states(layers: tuple[Spec, ...], input_shape: Shape) -> tuple[TensorInfo, ...]:
    """What an initial state consists of, in Keras's order, under the names of the results."""
    return Stack(layers).states(input_shape)


def dtype_of(layers: tuple[Spec, ...]) -> str:
    """What the first layer computes in."""
    dtype: str = layers[0].config["dtype"]
    return dtype


def _returning(layers: tuple[Spec, ...], sequences: bool, state: bool) -> tuple[Spec, ...]:
    last = make(layers[-1])
    if not last.recurrent:
        raise LayerError(
            f"{last.spec.class_name} has neither return_sequences nor return_state.",
            "matrix wants a recurrent layer last, such as lstm.",
        )
    return (*layers[:-1], last.with_returns(return_sequences=sequences, return_state=state))
