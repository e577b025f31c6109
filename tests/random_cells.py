"""Random cells written as equations: a strategy of Hypothesis."""

from hypothesis import strategies as st

SMOOTH = (
    "tanh", "sigmoid", "softsign", "relu", "gelu", "silu", "softplus", "softmax", "hard_sigmoid", "elu",
    "linear",
)  # fmt: skip
LEAVES = 100
"""Different places of names in an expression, more than there are names."""
LARGEST = 1e4
"""Random cells whose numbers grow beyond this are left out: rounding grows with them."""


@st.composite
def some_cells(draw: st.DrawFn) -> str:
    """Return the file of a cell with random lines, each of which may use every name above it."""
    states = [f"state{k}" for k in range(draw(st.integers(1, 3)))]
    lines = [f"line{k}" for k in range(draw(st.integers(0, 4)))]
    first: list[str] = ["x", *states, "scale", "one", "rate"]
    packing = draw(st.booleans())
    step, names = {}, list(first)
    for line in draw(st.permutations([*lines, *states])):
        parts = ["x @ kernel", f"{draw(st.sampled_from(states))} @ recurrent_kernel", "bias"]
        parts += ["recurrent_bias"] if packing else []
        parts += ["x @ square"]
        choices = [*names, *parts, "0.5", "2", "rate"]
        code = draw(EXPRESSIONS).format(*(choices[k % len(choices)] for k in range(LEAVES)))
        step[line] = f"tanh({code})" if line in states and draw(st.booleans()) else code
        names += [line]
    step = {line: f"{code} + 0 * {states[0]}" if line in states else code for line, code in step.items()}
    head = f"name = 'Random'\nstates = {states!r}\n"
    tables = "[initial]\nstate0 = 0.5\n[options]\nrate = 0.25\nactivation = 'softsign'\n[weights]\n"
    tables += (
        "scale = { shape = ['units'] }\none = { shape = [1] }\nsquare = { shape = ['features', 'units'] }\n"
    )
    return head + tables + "[step]\n" + "".join(f'{line} = "{code}"\n' for line, code in step.items())


def expressions() -> st.SearchStrategy[str]:
    """Return texts of equations, with `{7}` for a name; no function in them jumps or leaves its domain."""

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        bracketed = inner.map(lambda text: f"({text})")
        return st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-"]), inner).map(" ".join),
            st.tuples(bracketed, st.just("*"), bracketed).map(" ".join),
            st.tuples(inner, st.sampled_from(["-", "+"]), bracketed).map(" ".join),
            st.tuples(bracketed, bracketed).map(lambda both: f"{both[0]} / (1.5 + sigmoid({both[1]}))"),
            bracketed.map(lambda text: f"-{text}"),
            bracketed.map(lambda text: f"{text} ** 2"),
            bracketed.map(lambda text: f"-sigmoid({text}) ** 0.5"),
            st.tuples(st.sampled_from([*SMOOTH, "activation", "mean", "variance", "sum", "abs"]), inner).map(
                lambda both: f"{both[0]}({both[1]})"
            ),
            inner.map(lambda text: f"exp(-abs({text}))"),
            inner.map(lambda text: f"log(1 + abs({text}))"),
            inner.map(lambda text: f"sqrt(0.1 + abs({text}))"),
            st.tuples(st.sampled_from(["maximum", "minimum"]), inner, inner).map(
                lambda all_: f"{all_[0]}({all_[1]}, {all_[2]})"
            ),
            inner.map(lambda text: f"clip({text}, -0.5, rate)"),
            bracketed.map(lambda text: f"({text} * tanh(state0)) @ recurrent_kernel"),
        )

    return st.recursive(st.integers(0, LEAVES - 1).map("{{{}}}".format), extend, max_leaves=6)


EXPRESSIONS = expressions()
"""Made once, because Hypothesis takes longer to check it than to draw from it."""
