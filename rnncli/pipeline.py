"""What each command asks of a case: the stages joined, from a Case to its answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rnncli import calling, chunks, engines, fitting, memory
from rnncli.case import Case, Shape, Spec
from rnncli.errors import LayerError, UsageError
from rnncli.layers import make
from rnncli.layers.stack import Stack
from rnncli.result import Matrix, Result, TensorInfo

if TYPE_CHECKING:
    from rnncli.explanation import Explanation
    from rnncli.gradients import Gradients


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
    from rnncli import mapped

    fitting.demand_room(case, planned[0].stop)
    call = calling.opened(case, engine)
    case = dataclasses.replace(case, initial_state=fitting.initial_state(case))
    for chunk in planned:
        yield call(chunks.part(case, chunk))
        mapped.release(case.inputs)


def trace(case: Case) -> Result:
    """What the layers return, and every step on the way there, by the engine that keeps them.

    Raises UsageError where that engine cannot compute the layers, or not in their dtype.
    """
    from rnncli import tracing

    fitting.refuse_the_impossible(case)
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
    from rnncli import explain as explaining
    from rnncli import explanation, located

    wide = _with_sequences(witnessed(case), text)
    fitting.refuse_the_impossible(wide)
    stack, shape = Stack(wide.layers), wide.inputs.shape
    infos = located.infos(stack, shape)
    target = explanation.target(text, (*infos, *_gates(text, stack, shape, {info.name for info in infos})))
    result = trace(wide)
    found = explaining.explained(case, result, target, depth, terms)
    return found, dataclasses.replace(result, layers=case.layers)


def _with_sequences(case: Case, text: str) -> Case:
    """The last layer with its sequence where a number of that is asked for; its other numbers stay."""
    name = text.partition("[")[0].strip().rpartition("/")[2]
    last = make(case.layers[-1])
    if not name.endswith("hidden_states") or not last.recurrent:
        return case
    return dataclasses.replace(case, layers=(*case.layers[:-1], last.with_returns(return_sequences=True)))


def _gates(text: str, stack: Stack, shape: Shape, known: set[str]) -> tuple[TensorInfo, ...]:
    """The gate that is asked for, with time or without, as the index says."""
    from rnncli import located

    name, _, index = text.partition("[")
    part = located.parts(stack).get(name.strip())
    if part is None or name.strip() in known:
        return ()
    if index.count(",") == 1:
        return (TensorInfo(name.strip(), ("batch", "units"), (shape[0], part.units)),)
    return (TensorInfo(name.strip(), ("batch", "timesteps", "units"), (*shape[:2], part.units)),)


def example(layers: tuple[Spec, ...]) -> str:
    """A number that `explain` can explain whatever the sizes: `last_cell_state[0,0]`."""
    last = make(layers[-1])
    if not last.recurrent or last.input_rank != 3:
        return "last_cell_state[0,0]"
    info = last.states((1, 1, 1))[-1]
    return f"{info.name}[{','.join('0' for _ in info.axes)}]"


def gradients(case: Case, of: str | None = None) -> Gradients:
    """How much the numbers `of` change with every state and every input; default: the last step's output.

    Through Keras, whatever else could compute the case.  States are those of the last recurrent layer.
    The last layer's states may be asked for whether it returns them or not.
    Raises UsageError where there are no such numbers, or no such layer.
    """
    from rnncli import gradients as slopes
    from rnncli.engines import _gradients

    fitting.refuse_the_impossible(case)
    said = calling.conditions(case)
    case = dataclasses.replace(case, initial_state=fitting.initial_state(case))
    calling.demand_able(case, "tensorflow")
    last = make(case.layers[-1]).with_returns(return_state=True)
    wide = dataclasses.replace(case, layers=(*case.layers[:-1], last))
    target = slopes.target(of, Stack(wide.layers).outputs(case.inputs.shape))
    weights, _ = calling.weights_and_seeds(case, "tensorflow")
    place = slopes.layer_of(case)
    norms = _gradients.norms(wide, weights, place, target.batch, target.position, target.entries)
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
