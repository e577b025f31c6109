"""Case -> Result: build the layers once, and call them on the whole batch, or on one chunk after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from math import ceil, prod
from typing import Any

from rnncli.compute import engines
from rnncli.errors import EngineError, InputError, LayerError, UsageError
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.process import memory
from rnncli.process.signals import watch
from rnncli.result import ChunkedTensor, Claim, Label, LoopTrace, NamedTensor, Result, TensorInfo, select_true
from rnncli.values import Array, Shape, format_shape, sizes

COMFORTABLE = 64 * 2**20
"""Chunks of more than this many bytes are not faster."""
ROWS = 256
"""With fewer sequences, matrix products are slower; COMFORTABLE never makes a chunk smaller than this."""
REVERSED_MASK_OPTIONS = ("unroll", "go_backwards", "zero_output_for_mask", "return_sequences")


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """Compute what the layers return.

    engine: `auto` selects the fastest engine that gives Keras's numbers for this case.
    budget: see `plan`.
    Raises LayerError or InputError if the case is invalid, UsageError if the engine cannot compute it,
    EngineError if the engine fails.
    """
    if len(case.inputs):
        return join_results(run_chunks(case, engine, plan(case, budget)), len(case.inputs))
    import numpy as np

    def zeros(array: Array) -> Array:
        return np.zeros((1, *array.shape[1:]), array.dtype)

    sequence = case._replace(  # not every engine computes an empty batch
        inputs=zeros(case.inputs),
        mask=None if case.mask is None else ~zeros(case.mask),
        initial_state=case.initial_state and tuple(map(zeros, case.initial_state)),
    )
    result, _ = split_result(run(sequence, engine), (0, 1), case)
    return result


def plan(case: Case, budget: int | None = None) -> tuple[slice, ...]:
    """Return the chunks of the batch in order, of nearly equal size; they are computed one after another.

    Each sequence is a chunk if it goes on from the state of the one before.  There is a single chunk if the
    sequences are otherwise not independent: if states are kept between calls, random numbers are drawn for
    the whole batch, or the case is traced.
    budget: bytes that the work on one chunk may take, None for a quarter of the memory; a chunk has at least
        one sequence.
    """
    batch, stack = len(case.inputs), case.stack
    if case.goes_on:
        return tuple(slice(index, index + 1) for index in range(batch))
    if case.with_trace or stack.is_stateful or (case.training and stack.draws_in_training):
        return (slice(0, batch),)
    each = bytes_of_a_sequence(case, stack)
    budget = memory.total() // 4 if budget is None else budget
    most = max(1, min(budget // each, max(COMFORTABLE // each, ROWS)))
    size = ceil(batch / ceil(batch / most))
    return tuple(slice(start, min(start + size, batch)) for start in range(0, batch, size))


def bytes_of_a_sequence(case: Case, stack: Stack) -> int:
    """Estimate the bytes for one sequence: inputs and outputs, counted twice, and the input projections."""
    shape = 1, *case.inputs.shape[1:]
    outputs = (info.shape for info in stack.outputs(shape, all_layers=True))
    numbers = sum(map(prod, map(sizes, (shape, *outputs))))
    widths = (weight[-1] for weight in stack.weight_shapes(shape).values() if len(weight) > 1)
    gates = shape[1] * sum(width for width in widths if isinstance(width, int))
    itemsize: int = case.inputs.dtype.itemsize
    return itemsize * (2 * numbers + int(gates))


def run_chunks(case: Case, engine: str, planned: tuple[slice, ...]) -> Iterator[Result]:
    """Return an iterator of the results of the chunks, which keeps no chunk that it has yielded.

    The engine is prepared before the iterator is returned, so before a progress bar starts its thread; see
    `watch`.
    """
    from rnncli import arrays

    require_room(case, planned[0].stop)
    first = take_chunk(case, planned[0]) if case.goes_on else case  # whose batch the states are kept for
    call = prepare(first, engine)

    def results() -> Iterator[Result]:
        for chunk in planned:
            yield call(take_chunk(case, chunk))
            arrays.release(case.inputs)

    return results()


def take_chunk(case: Case, chunk: slice | Array) -> Case:
    """Return the case with only the sequences in `chunk`, a slice or their indices."""
    states = case.initial_state
    return case._replace(
        inputs=case.inputs[chunk],
        mask=None if case.mask is None else case.mask[chunk],
        initial_state=None if states is None else tuple(state[chunk] for state in states),
    )


class ChunkSummary:
    """What is known of a result only after its last chunk.

    equals: by tensor, the claims that hold in every chunk.
    engines: the engines that computed the chunks.
    """

    def __init__(self) -> None:
        self.equals: dict[Label, tuple[Claim, ...]] = {}
        self.engines: tuple[str, ...] = ()

    def add(self, result: Result) -> None:
        """Add the result of one chunk."""
        for tensor in result.outputs:
            held = self.equals.get(tensor.label, tensor.equals)
            self.equals[tensor.label] = tuple(claim for claim in held if claim in tensor.equals)
        self.engines = tuple(dict.fromkeys(self.engines + result.engines))


def join_results(results: Iterator[Result], batch: int) -> Result:
    """Join the results of the chunks into the result of all `batch` sequences.

    A claim holds only if it holds in every chunk.
    Raises InputError if the result does not fit in memory.
    """
    first = next(results)
    if first.input_shape[0] == batch:
        return first
    import numpy as np

    memory.refuse_beyond(sum(each.values[:1].nbytes * batch for each in first.outputs))
    arrays = [np.empty((batch, *each.values.shape[1:]), each.values.dtype) for each in first.outputs]
    masks: list[list[Array]] = [[] for _ in first.outputs]
    traces: list[tuple[LoopTrace, ...]] = []
    agreed, done = ChunkSummary(), 0
    for result in chain((first,), results):
        agreed.add(result)
        traces.append(result.trace)
        end = done + result.input_shape[0]
        for array, masked, tensor in zip(arrays, masks, result.outputs, strict=True):
            array[done:end] = tensor.values
            masked += [] if tensor.masked is None else [tensor.masked]
        done = end
    outputs = tuple(
        tensor._replace(
            values=array,
            equals=agreed.equals[tensor.label],
            masked=np.concatenate(masked) if masked else None,
        )
        for tensor, array, masked in zip(first.outputs, arrays, masks, strict=True)
    )
    shape = (batch, *first.input_shape[1:])
    trace = tuple(_join_loops(loops) for loops in zip(*traces, strict=True))
    return dataclasses.replace(first, engines=agreed.engines, input_shape=shape, outputs=outputs, trace=trace)


def _join_loops(loops: Sequence[LoopTrace]) -> LoopTrace:
    import numpy as np

    def join(name: str) -> dict[Label, Array]:
        parts = [getattr(loop, name) for loop in loops]
        return {label: np.concatenate([each[label] for each in parts]) for label in parts[0]}

    status = np.concatenate([loop.status for loop in loops])
    return loops[0]._replace(status=status, parts=join("parts"), start=join("start"))


def prepare(case: Case, engine: str = "auto") -> Callable[[Case], Result]:
    """Build the layers of `case`; return a function for cases that differ only in inputs, mask and states.

    The masks and states of these cases must fit the layers.  Stateful layers keep their states from one call
    to the next.
    engine: with `auto`, numpy computes the cases that the fastest engine turns out not to support.
    Raises, here or at a call, LayerError or InputError if a case is invalid, UsageError if the engine
    cannot compute it, EngineError if the engine fails.
    """
    require_mask(case)
    chosen = engines.choose(case, engine)
    if chosen in engines.LIBRARIES:
        watch(engines.LIBRARIES[chosen], engines.AFTER_CRASH)
    if engine != "auto" or chosen != "onnx":
        return _PreparedCase(case, chosen)
    fallback = cache(lambda: _PreparedCase(case, "numpy"))
    try:
        preferred = _PreparedCase(case, chosen)
    except EngineError:  # its package is installed but broken
        return fallback()

    def call(similar: Case) -> Result:
        try:
            computed = preferred.compute(similar)
        except (UsageError, EngineError):
            return fallback()(similar)
        return preferred.build_result(similar, computed)

    return call


class _PreparedCase:
    """Layers built in one engine, which can compute the case."""

    def __init__(self, case: Case, engine: str) -> None:
        self.engine, self.dtype = engine, str(case.inputs.dtype)
        layers = engines.get(engine).Layers
        self.stack = case.stack
        self.call: engines.LayerCaller = layers(case, *weights_and_seeds(case, self.stack, engine))
        self.claims = claims_of(case, self.stack)
        self.expected = lru_cache(256)(lambda shape: _expected_tensors(case, self.stack, shape))

    def __call__(self, case: Case) -> Result:
        return self.build_result(case, self.compute(case))

    def compute(self, case: Case) -> engines.EngineOutput:
        import numpy as np

        if case.mask is not None:  # the layers may have been built for another mask
            engines.require_able(case, self.engine)
        return self.call(case._replace(inputs=np.ascontiguousarray(case.inputs)))

    def build_result(self, case: Case, computed: engines.EngineOutput) -> Result:
        calls = (*computed.earlier, computed.tensors)
        kept = [layer for call in calls for layer in (call if case.all_layers else call[-1:])]
        expected = self.expected(case.inputs.shape)
        tensors = dict(zip(expected, chain.from_iterable(kept), strict=True))
        for label, (info, *_) in expected.items():
            if (shape := tensors[label].shape) != info.shape:
                what = "{engine} returned {label} as {shape}, not as {expected}."
                advice = "This is a bug in rnncli; please report it."
                ours, theirs = format_shape(info.shape), format_shape(shape)
                raise EngineError(what, advice, engine=self.engine, label=label, shape=theirs, expected=ours)
        equal = select_true(self.claims, tensors)
        masked = self.stack.masked_rows(case.inputs, case.mask, started=case.initial_state is not None)
        names = case.names, case.names.turned()
        return Result(
            engines=(self.engine,),
            seed=case.seed,
            specs=case.stack,
            input_shape=case.inputs.shape,
            input_dtype=self.dtype,
            outputs=tuple(
                NamedTensor(
                    label,
                    info.axes,
                    tensors[label],
                    equal[label],
                    time,
                    masked[layer] if label.sequence else None,
                    half,
                    real_ends(info) if masked[layer] is not None else info.ends,
                    case.names,
                )
                for label, (info, layer, time, half) in expected.items()
            ),
            trace=tuple(
                loop._replace(names=names[self.stack.turned[int(loop.layer)]]) for loop in computed.trace
            ),
            weights=computed.weights,
            conditions=conditions(case),
            hold=tuple(hold.text for hold in case.hold),
            assumed=case.assumed,
            agreement=case.agreement,
            all_layers=case.all_layers,
            names=case.names,
        )


def real_ends(info: TensorInfo) -> tuple[str, ...]:
    """Return the ends of a masked tensor: in a Bidirectional, `last` is the last real step."""
    in_both = info.label.direction or len(info.ends) > 1
    real = {"last": "last real", "first": "first real"}
    return tuple(real[end] for end in info.ends) if in_both else info.ends


def _expected_tensors(
    case: Case, stack: Stack, input_shape: Shape
) -> dict[Label, tuple[TensorInfo, int, Sequence[int], int]]:
    """Return each tensor's info, the index of its layer, and `time` and `half` as in NamedTensor."""
    times = stack.times(input_shape, all_layers=case.all_layers)
    expected: dict[Label, tuple[TensorInfo, int, Sequence[int], int]] = {}
    for info in _returned(stack, case, input_shape):
        label = info.label
        layer = label.layer if isinstance(label.layer, int) else len(stack.layers) - 1
        half = 0 if label.last else stack.layers[layer].forward_units or 0
        expected[label] = info, layer, times.get(label.without_call, ()), half
    return expected


def _returned(stack: Stack, case: Case, input_shape: Shape) -> Iterator[TensorInfo]:
    """Yield the tensors of the result; with all calls, the tensors of every call, numbered from 1."""
    infos = stack.outputs(input_shape, all_layers=case.all_layers)
    for call in range(1, case.calls + 1) if case.all_calls else (None,):
        yield from (info.with_place(call=call) for info in infos)


def claims_of(case: Case, stack: Stack) -> dict[Label, tuple[Claim, ...]]:
    """Return the claims to test for each tensor.

    With all calls, a tensor is also claimed to equal the same tensor of the previous call.
    """
    claims = stack.claims(all_layers=case.all_layers)
    if not case.all_calls:
        return claims
    by_call = {}
    for label in (info.label for info in _returned(stack, case, case.inputs.shape)):
        call = label.call or 1
        same = (claim.with_place(call=call) for claim in claims.get(label.without_call, ()))
        before = [Claim(label._replace(call=call - 1))] if call > 1 else []
        by_call[label] = (*same, *before)
    return by_call


def take_outputs(result: Result, case: Case) -> Result | None:
    """Return what the Case returns from a result of the same call with more outputs; None if it is not there.

    The last step of a sequence is the output of a layer that returns no sequence, unless steps are masked.
    """
    known = {tensor.label: tensor for tensor in result.outputs}
    last = case.stack[-1]
    has_last = case.mask is None and last.inner is last and not last.config.get("input_order")
    tensors = []
    for info in case.stack.outputs(case.inputs.shape):
        sequence = known.get(info.label._replace(sequence=True))
        if info.label in known:
            tensors.append(known[info.label])
        elif has_last and sequence is not None:
            tensors.append(NamedTensor(info.label, info.axes, sequence.values[:, -1], ends=info.ends))
        else:
            return None
    equal = select_true(claims_of(case, case.stack), {tensor.label: tensor.values for tensor in tensors})
    outputs = tuple(tensor._replace(equals=equal[tensor.label]) for tensor in tensors)
    return dataclasses.replace(result, specs=case.stack, outputs=outputs, agreement=case.agreement)


def split_result(result: Result, sizes: Sequence[int], case: Case) -> Iterator[Result]:
    """Split the result of several cases that were joined along the batch axis.

    sizes: number of sequences in each case.
    case: any of the cases.
    """
    if len(sizes) == 1:
        yield result
        return
    known, start = claims_of(case, case.stack), 0
    for size in sizes:
        values = {tensor.label: tensor.values[start : start + size] for tensor in result.outputs}
        equal = select_true(known, values)
        outputs = tuple(
            tensor._replace(
                values=values[tensor.label],
                equals=equal[tensor.label],
                masked=None if tensor.masked is None else tensor.masked[start : start + size],
            )
            for tensor in result.outputs
        )
        shape = (size, *result.input_shape[1:])
        yield dataclasses.replace(result, input_shape=shape, outputs=outputs)
        start += size


def weights_and_seeds(case: Case, stack: Stack, engine: str) -> tuple[Mapping[str, Array], dict[str, int]]:
    """Return the weights by path (supplied, or drawn from the seed) and the seeds.

    With the engine `tensorflow`, Keras draws the weights that it can draw, and they are not returned.
    """
    seeds = stack.take_seeds(case.seed or 0)
    if case.weights is not None:
        return case.weights, seeds
    drawn = {} if engine == engines.REFERENCE else stack.draw_weights(case.inputs.shape, seeds)
    return {**drawn, **stack.probes(case.inputs.shape, str(case.inputs.dtype))}, seeds


def conditions(case: Case) -> dict[str, int]:
    """Return the settings that affect the numbers, without the layers, the inputs and the seed."""
    settings = {
        "training": case.training,
        "calls": case.calls if case.calls > 1 else 0,
        "mask": case.mask is not None,
        "initial_state": case.initial_state is not None,
        "weights": case.weights is not None,
    }
    return {name: int(value) for name, value in settings.items() if value}


def require_room(case: Case, sequences: int) -> int:
    """Return the bytes that the layers need for this many sequences at once.

    They need all weights and outputs; to draw the weights, three doubles per number of the largest weight.
    Raises InputError if the machine does not have enough memory.
    """
    stack, input_shape = case.stack, (sequences, *case.inputs.shape[1:])
    weights = [prod(sizes(shape)) for shape in stack.weight_shapes(input_shape).values()]
    outputs = sum(prod(sizes(info.shape)) for info in stack.outputs(input_shape, all_layers=True))
    states = 3 * sum(prod(sizes(info.shape)) for info in stack.states(input_shape))  # old, new, and between
    numbers = sum(weights) + (case.calls if case.all_calls else 1) * outputs + states
    drawn = 24 * max(weights, default=0) if case.weights is None else 0
    needed = (8 if case.inputs.dtype.itemsize == 8 else 4) * numbers + drawn
    memory.refuse_beyond(needed)
    return needed


def require_mask(case: Case) -> None:
    """Raise InputError if the first layer makes its own mask, LayerError if Keras misapplies the mask.

    Keras does so in an unrolled backward sequence with zeroed outputs: it applies the mask as if the sequence
    ran forward, and only the states are correct.
    """
    first, masked = case.stack.layers[0], case.mask is not None
    if masked and first.makes_mask:
        what = "a mask was given, but layer 0 ({class_name}) computes its own."
        advice = "Leave out the mask, or the layer {class_name}."
        raise InputError(what, advice, class_name=first.spec.class_name)
    for layer in case.stack.layers:
        masked = masked or layer.makes_mask
        for loop in layer.loops.values():
            if masked and all(loop.config.get(name) for name in REVERSED_MASK_OPTIONS):
                raise LayerError(
                    "Keras on TensorFlow misapplies a mask when unroll, go_backwards and "
                    "zero_output_for_mask are combined.",
                    "Leave unroll out; the result is otherwise the same.",
                )


IN_MEMORY = 2**24
"""Maximum bytes of a waiting tensor to keep in memory; a larger one is kept in a temporary file."""


class ChunkedResult:
    """The tensors of all chunks, none fully in memory; to be read one after another, from first to last.

    The first tensor is read while it is computed; the others are stored until they are read.

    result: the result without the tensors; available immediately.
    summary: information from the chunks so far; complete when the first tensor has been read.
    """

    def __init__(self, results: Iterator[Result], batch: int) -> None:
        from rnncli import arrays

        first = next(results)
        shape = (batch, *first.input_shape[1:])
        self.result = dataclasses.replace(first, input_shape=shape, outputs=())
        self.summary = ChunkSummary()
        self._waiting = tuple(_ArrayQueue() for _ in first.outputs[1:])
        parts = (self._iterate_parts(chain((first,), results)), *(queue.parts() for queue in self._waiting))
        self.outputs = tuple(
            ChunkedTensor(
                tensor.label,
                tensor.axes,
                arrays.ChunkedArray((batch, *tensor.values.shape[1:]), tensor.values.dtype, pieces),
                tensor.time,
                tensor.ends,
                tensor.names,
            )
            for tensor, pieces in zip(first.outputs, parts, strict=True)
        )

    def _iterate_parts(self, results: Iterator[Result]) -> Iterator[Array]:
        try:
            for result in results:
                self.summary.add(result)
                first, *others = result.outputs
                for waiting, tensor in zip(self._waiting, others, strict=True):
                    waiting.append(tensor.values)
                yield first.values
        except BaseException:  # nobody will read the others
            for waiting in self._waiting:
                waiting.file.close()
            raise


class _ArrayQueue:
    """A queue of arrays in a temporary file, which are read back after all of them have been added."""

    def __init__(self) -> None:
        from tempfile import SpooledTemporaryFile

        self.file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it was read
        self.headers: list[tuple[tuple[int, ...], Any]] = []

    def append(self, array: Array) -> None:
        from rnncli import arrays

        try:
            for block in arrays.blocks(array):
                self.file.write(block.tobytes())
        except OSError as error:
            what = "a temporary file cannot be written: {strerror}."
            advice = "Name a folder with more room in TMPDIR, or keep fewer tensors with {--select}."
            raise UsageError(what, advice, strerror=error.strerror or error) from None
        self.headers.append((array.shape, array.dtype))

    def parts(self) -> Iterator[Array]:
        import numpy as np

        self.file.seek(0)
        for shape, dtype in self.headers:
            yield np.frombuffer(self.file.read(prod(shape) * dtype.itemsize), dtype).reshape(shape)
        self.file.close()
