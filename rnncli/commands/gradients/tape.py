"""Gradients through real Keras layers: TensorFlow's tape over Keras's own cells, tracking every state.

The sequence is repeated once per number of the output, so that a single backward pass gives every
row of the Jacobian.  The last recurrent layer is stepped here, cell by cell, because Keras's loop
does not expose the states; the result is checked against what the layer itself returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnncli import compute
from rnncli.compute.chain_rule import Norms, TrackedState, input_columns, sum_squares
from rnncli.compute.engines import AFTER_CRASH, LIBRARIES
from rnncli.compute.engines import tensorflow as engine
from rnncli.errors import EngineError
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.process.signals import watch
from rnncli.values import Array

AT_ONCE = 256
"""Maximum number of outputs per backward pass."""
TAPE_LIMIT = 20_000_000
"""Approximate limit on the numbers held by the tape."""
NEAR = {"float64": 1e-9, "float32": 1e-4, "float16": 2e-2, "bfloat16": 1e-1}

TrackedSteps = dict[TrackedState, list[Any]]


def norms(case: Case, layer: int, batch: int, tensor: int, entries: Array) -> Norms:
    """Compute norms for entries (flat indices) of one sequence's tensor.  layer: the last recurrent one.

    The gradient of a state is taken where the next step reads the state, of each part separately: a cell
    state's effect on the hidden state of the same step does not count.
    Raises EngineError if Keras rejects the case or fails.
    """
    import numpy as np

    watch(LIBRARIES["tensorflow"], AFTER_CRASH)
    weights, _ = compute.weights_and_seeds(case, case.stack, "tensorflow")
    # As in a first call: no state is kept.
    fresh = case._replace(stack=Stack(spec.with_option("stateful", False) for spec in case.stack))
    if not case.training:  # dropout is drawn for the whole batch
        fresh, batch = compute.take_chunk(fresh, slice(batch, batch + 1)), 0
    with engine.make_layers(fresh, weights) as (keras, layers):
        walk = _RepeatedRun(keras, fresh, layers, layer, batch)
        walk.verify(tensor)
        together = 1
        if not case.training:  # as many output numbers as fit in one backward pass
            _, timesteps, features = case.inputs.shape
            weights_of_all = [weight.shape for each in layers for weight in each.trainable_weights]
            numbers = timesteps * (features + 3 * sum(shape[-1] for shape in weights_of_all))
            together = int(max(1, min(AT_ONCE, TAPE_LIMIT // numbers)))
        passes = (entries[start : start + together] for start in range(0, len(entries), together))
        squares = [walk.sum_squares(tensor, chosen) for chosen in passes]
        by_state = {name: np.sqrt(sum(part[name] for part in squares)) for name in squares[0]}
        inputs = {name: by_state.pop((name,)) for name in input_columns(case.stack)}
        return Norms(by_state, inputs, walk.masked_steps)


class _RepeatedRun:
    """The layers of a case, run on one repeated sequence; in training, on the whole batch, time after time.

    row: the sequence, in the case.
    """

    def __init__(self, keras: Any, case: Case, layers: Sequence[Any], stepped_layer: int, row: int) -> None:
        import tensorflow

        self.tf, self.keras, self.case, self.layers = tensorflow, keras, case, layers
        self.ours, self.stepped_layer, self.row = case.stack.layers, stepped_layer, row
        self.masked_steps: Any = None
        variables = [variable for layer in layers for variable in layer.non_trainable_variables]
        self.generators = [(variable, variable.numpy()) for variable in variables]

    def verify(self, tensor: int) -> None:
        import numpy as np

        returned = engine.call_layers(self.keras, self.case, self.layers)[-1]
        stepped = self._forward(self.case, self.tf.convert_to_tensor(self.case.inputs))[0]
        near = max(NEAR[spec.config.get("dtype", "float32")] for spec in self.case.stack)
        ours, theirs = (  # states are flat in a Keras cell
            np.asarray(tensors[tensor], np.float64)[self.row].ravel() for tensors in (stepped, returned)
        )
        if not np.allclose(ours, theirs, atol=near, rtol=near, equal_nan=True):
            what = "Keras's cell, called step by step, gave different numbers than its layer."
            raise EngineError(what, "Please report it.")

    def sum_squares(self, tensor: int, entries: Array) -> dict[Any, Any]:
        """Return sums of squared derivatives, (timesteps,), by tracked state and `(name,)` of each input."""
        import numpy as np

        tf, count = self.tf, len(entries)
        case = self.case if self.case.training else compute.take_chunk(self.case, np.zeros(count, int))
        inputs = tf.convert_to_tensor(case.inputs)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            outputs, tracked = self._forward(case, inputs, tape)
            rows = tf.reshape(outputs[tensor], (len(inputs), -1))[self.row : self.row + count]
            total = tf.reduce_sum(tf.gather(rows, entries, batch_dims=1, axis=1))
        names, states = list(tracked), list(tracked.values())
        slopes = tape.gradient(total, [inputs, states], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        squares = [np.array([sum_squares(step) for step in steps]) for steps in slopes[1]]
        inputs = {
            (name,): sum_squares(slopes[0][..., columns], by_time=True)
            for name, columns in input_columns(self.case.stack).items()
        }
        return {**inputs, **dict(zip(names, squares, strict=True))}

    def _forward(self, case: Case, x: Any, tape: Any = None) -> tuple[list[Any], TrackedSteps]:
        tracked: TrackedSteps = {}
        tensors: list[Any] = []
        for variable, start in self.generators:  # each run draws the same dropout
            variable.assign(start)
        given = engine.make_call_arguments(self.keras, case, self.layers)
        for index, (layer, arguments) in enumerate(zip(self.layers, given, strict=True)):
            if index == self.stepped_layer:
                tensors, tracked = self._step_layer(layer, x, arguments, tape)
            else:
                tensors = self.keras.tree.flatten(layer(x, **arguments))
            x = tensors[0]
        return tensors, tracked

    def _step_layer(
        self, layer: Any, x: Any, given: Mapping[str, Any], tape: Any
    ) -> tuple[list[Any], TrackedSteps]:
        """Step the recurrent layer, one or both directions: its tensors in Keras's order, and its states."""
        import numpy as np

        ours: Any = self.ours[self.stepped_layer]
        mask, loops, flat = given.get("mask"), ours.loops, self.keras.tree.flatten
        if mask is None and "initial_state" not in given:  # else Keras does not pass on the input's own mask
            mask = getattr(x, "_keras_mask", None)
        # The same for every repetition.
        counts = np.ones(x.shape[1], bool) if mask is None else np.asarray(mask)[self.row].astype(bool)
        self.masked_steps = ~counts
        keras_layers = [layer.forward_layer, layer.backward_layer] if len(loops) > 1 else [layer]
        states = [flat(each.get_initial_state(x.shape[0])) for each in keras_layers]
        if "initial_state" in given:
            whole, count = flat(given["initial_state"]), len(states[0])
            states = [whole[:count], whole[count:]][: len(keras_layers)]
        runs = [
            self._direction(keras_layer, loop, x, counts, state, tape)
            for keras_layer, loop, state in zip(keras_layers, loops.values(), states, strict=True)
        ]
        tracked = {
            (direction or ("backward" if loop.config["go_backwards"] else "forward"), label.in_loop): [
                steps[time][index] for time in range(len(counts))
            ]
            for (direction, loop), (_, _, steps) in zip(loops.items(), runs, strict=True)
            for index, label in enumerate(loop.cell.state_labels)
        }
        last = [part for _, state, _ in runs for part in state] if ours.returns_state else []
        ops = self.keras.ops
        joined = [ops.stack(outputs, axis=1) if ours.sequences else outputs[-1] for outputs, *_ in runs]
        if len(runs) == 1:
            return [ours.arrange(joined[0]), *last], tracked
        second = joined[1][:, ::-1] if ours.sequences else joined[1]
        return [*ours.merge(ours.config["merge_mode"], joined[0], second, ops), *last], tracked

    def _direction(
        self, layer: Any, ours: Any, x: Any, counts: Array, state: list[Any], tape: Any
    ) -> tuple[list[Any], list[Any], dict[int, list[Any]]]:
        """Return the outputs of one direction in its order, its last state, and its states by input time.

        Each state is a separate tensor after its step, which later steps read.
        """
        tf, tree = self.tf, self.keras.tree
        like = layer.get_initial_state(1)
        hidden = ours.cell.state_labels.index(ours.cell.output_state)
        zeroing, any_before = ours.config["zero_output_for_mask"], False
        outputs, tracked = [], {}
        for cell in getattr(layer.cell, "cells", [layer.cell]):  # new masks for this run, as in Keras's loop
            cell.reset_dropout_mask()
            cell.reset_recurrent_dropout_mask()
        times = range(len(counts))
        for time in reversed(times) if ours.config["go_backwards"] else times:
            if counts[time]:
                packed = tree.pack_sequence_as(like, state)
                _, after = layer.cell(x[:, time], packed, training=self.case.training)
                state, any_before = tree.flatten(after), True
            state = [tf.identity(part) for part in state]
            if tape is not None:
                for part in state:
                    tape.watch(part)
            shown = counts[time] or (any_before and not zeroing)
            outputs.append(state[hidden] if shown else tf.zeros_like(state[hidden]))
            tracked[time] = state
        return outputs, state, tracked
