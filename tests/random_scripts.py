"""Random Keras scripts: layers as a user might write them."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import oracle

INITIALIZERS = (
    "'glorot_uniform'", "'glorot_normal'", "'he_uniform'", "'he_normal'", "'lecun_uniform'", "'lecun_normal'",
    "'orthogonal'", "'random_normal'", "'random_uniform'", "'truncated_normal'", "'ones'",
    "RandomUniform(-0.3, 0.3)", "RandomNormal(stddev=0.2)", "TruncatedNormal(0.0, 0.3)", "GlorotUniform()",
    "HeNormal()", "Orthogonal(gain=0.5)", "Orthogonal()", "Constant(0.1)",
    "VarianceScaling(0.5, 'fan_out', 'uniform')",
    "VarianceScaling(scale=0.5, distribution='untruncated_normal')",
    "keras.initializers.LecunNormal()", "RandomUniform(seed=3)", "GlorotUniform(seed=12)",
    "Orthogonal(seed=4)", "RandomNormal(seed=2147483647)",
)  # fmt: skip
BIASES = ("'zeros'", "'random_normal'", "Constant(0.2)", "RandomUniform(-0.1, 0.1)", "TruncatedNormal()")
OWN = {"LSTM": "unit_forget_bias", "GRU": "reset_after"}
KINDS = ("SimpleRNN", "LSTM", "GRU")


@dataclass(frozen=True)
class Script:
    """layers: expressions, or Keras configs; the other fields in the form that rnncli and the oracle take."""

    layers: list[Any]
    inputs: np.ndarray
    seed: int
    rest: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Writes one script; `source` makes every choice."""

    def __init__(self, source: random.Random) -> None:
        self.random = source
        self.dtype = "float64" if self.chance(0.15) else "float32"

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, choices: Any) -> Any:
        return self.random.choice(tuple(choices))

    def script(self) -> Script:
        shape = (self.pick(range(1, 5)), self.pick(range(1, 7)), self.pick(range(1, 7)))
        generator = np.random.default_rng(self.random.randrange(2**32))
        inputs = generator.standard_normal(shape).astype(self.dtype)
        rest: dict[str, Any] = {"training": self.chance(0.35), "calls": self.pick((1, 1, 2, 3))}
        if self.chance(0.3):
            rest["mask"] = generator.random(shape[:2]) < 0.7
        depth = self.pick((1, 1, 1, 2, 2, 3))
        layers = [self.layer(last=index == depth - 1) for index in range(depth)]
        if "mask" not in rest and self.chance(0.3):
            layers.insert(0, f"Masking(dtype={self.dtype!r})")
            inputs[generator.random(shape[:2]) < 0.3] = 0
        if self.chance(0.2) and "merge_mode=None" not in layers[-1]:
            layers.append(self.call("Dense", self.units(), self.initializers("kernel", "bias")))
        return Script(self.saved(layers), inputs, self.pick((0, 1, 42, self.random.randrange(2**32))), rest)

    def saved(self, layers: list[str]) -> list[Any]:
        """Sometimes return Keras's own configs, from which a layer makes its initializers itself."""
        if not self.chance(0.2):
            return list(layers)
        return [oracle.keras.layers.serialize(oracle.make_layers(text)[0]) for text in layers]

    def layer(self, last: bool) -> str:
        sequences = not last or self.chance(0.5)
        loop = [f"return_sequences={sequences}"]
        if self.chance(0.4):
            loop.append("return_state=True")
        if self.chance(0.2) and loop[-1] != "return_state=True":
            loop.append("stateful=True")
        kind = self.random.random()
        if kind < 0.3:
            return self.bidirectional(loop, last)
        backwards = ["go_backwards=True"] if self.chance(0.3) else []
        zeroing = ["zero_output_for_mask=True"] if self.chance(0.3) else []
        return self.recurrent([*loop, *backwards, *zeroing], self.units())

    def recurrent(self, loop: list[str], units: int) -> str:
        if self.chance(0.25):
            # With a mask, Keras needs a single cell outside a list; it stacks cells only in float32.
            count = self.pick((0, 1, 2)) if self.dtype == "float32" else 0
            cells = [self.recurrent_cell(self.units()) for _ in range(count)]
            inside = ", ".join([*cells, self.recurrent_cell(units)])
            inside = f"[{inside}]" if count else inside
            return f"RNN({inside}, {', '.join([*loop, f'dtype={self.dtype!r}'])})"
        kind = self.pick(KINDS)
        return self.call(kind, units, [*self.cell_options(kind), *loop])

    def recurrent_cell(self, units: int) -> str:
        kind = self.pick(KINDS)
        return self.call(f"{kind}Cell", units, self.cell_options(kind))

    def bidirectional(self, loop: list[str], last: bool) -> str:
        merge = self.pick(("concat", "sum", "mul", "ave", None) if last else ("concat", "sum", "mul", "ave"))
        units = self.units()
        outer = [f"merge_mode={merge!r}", f"dtype={self.dtype!r}"]
        inner = self.recurrent(loop, units)
        if self.chance(0.35):
            other = units if merge not in ("concat", None) or self.chance(0.5) else self.units()
            backward = f"backward_layer={self.recurrent([*loop, 'go_backwards=True'], other)}"
            if self.chance(0.3):
                return f"Bidirectional({backward}, layer={inner}, {', '.join(outer)})"
            outer.append(backward)
        return f"Bidirectional({inner}, {', '.join(outer)})"

    def cell_options(self, kind: str) -> list[str]:
        options = self.initializers("kernel", "recurrent", "bias")
        if self.chance(0.2):
            options.append("use_bias=False")
        if kind in OWN and self.chance(0.3):
            options.append(f"{OWN[kind]}=False")
        if self.chance(0.2):
            options.append(f"activation={self.pick(('relu', 'sigmoid', 'softsign', 'gelu'))!r}")
        if kind in OWN and self.chance(0.2):
            options.append("recurrent_activation='hard_sigmoid'")
        for name in ("dropout", "recurrent_dropout"):
            if self.chance(0.3):
                options.append(f"{name}={self.pick((0.1, 0.5, 0.75))}")
        if self.chance(0.1):
            options.append(f"seed={self.random.randrange(1000)}")
        return options

    def initializers(self, *names: str) -> list[str]:
        return [
            f"{name}_initializer={self.pick(BIASES if name == 'bias' else INITIALIZERS)}"
            for name in names
            if self.chance(0.5)
        ]

    def units(self) -> int:
        return self.random.randint(1, 7)

    def call(self, name: str, units: int, options: list[str]) -> str:
        options = [*options, f"dtype={self.dtype!r}"]
        self.random.shuffle(options)
        return f"{name}({units}, {', '.join(options)})"


def script(number: int) -> Script:
    """Return the script of that number, the same in every run."""
    return Writer(random.Random(number)).script()
