"""What is wrong with a cell's file is said with its line, a caret, and advice that fits."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from command import Run

MGU = """\
name = "MGU"
states = ["hidden"]

[step]
forget = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias)"
candidate = "tanh(x @ kernel + (forget * hidden) @ recurrent_kernel + bias)"
hidden = "(1 - forget) * hidden + forget * candidate"
"""

ADVICE = "An equation may contain names, numbers,"

WRONG = {
    "a name": ("(forget *", "(forgot *", "line 6, candidate: there is no name forgot.", "forgot",
               "Did you mean forget?"),
    "a function": ("tanh(", "tahn(", "line 6, candidate: there is no function tahn.", "tahn",
                   "Did you mean tanh?"),
    "no product": ("x @ k", "x * k", "line 5, forget: kernel has two axes, so it must be on the right of @.",
                   "kernel", ""),
    "turned": ("x @ kernel", "kernel @ x", "line 5, forget: @ needs a weight of two axes on its right.",
               "kernel @ x", "For example x @ kernel, or hidden @ recurrent_kernel."),
    "a size": ("hidden @ recurrent_", "hidden @ ", "kernel needs 5 numbers on its left, not 4.",
               "hidden @ kernel", "x has 5 numbers, a state has 4."),
    "sizes": ("t_kernel + bias", "t_kernel + x", "its parts have 4 and 5 numbers.",
              "x @ kernel + hidden @ recurrent_kernel + x", "x has 5 numbers, a state has 4."),
    "order": ("forget = ", 'late = "candidate"\nforget = ', "line 5, late: candidate is used before it is",
              "candidate", "Move its line above this one, or make it a state."),
    "no line": ('["hidden"]', '["hidden", "cell"]', "line 2: no line assigns the state cell.", "",
                "Choose one of forget, candidate, hidden."),
    "a text": ('["hidden"]', '"hidden"', "line 2: states is not a list of different names.", "",
               'For example states = ["hidden"].'),
    "no states": ('states = ["hidden"]\n', "", "it has no states.", "", 'For example states = ["hidden"].'),
    "no table": ("[step]\n", "", "line 4: there is no entry 'forget'.", "",
                 "Write [step] above the equations."),
    "twice": ("candidate = ", "forget = ", "line 6: this name is given twice.", "",
              "A name can be assigned only once."),
    "no quotes": ('"sigmoid', "sigmoid", "line 5: this is not valid TOML.", "s",
                  'An equation is written in quotes: hidden = "tanh(x @ kernel)"'),
    "code": ("tanh(x @ kernel", "keras.ops.tanh(x", "line 6, candidate: this cannot be used in an equation.",
             "keras.ops.tanh(x + (forget * hidden) @ recurrent_kernel + bias)", ADVICE),
    "a letter": ("sigmoid", "σ", "line 5, forget: this character cannot be used", "σ", ADVICE),
    "a bracket": ("(1 - forget)", "(1 - forget", "line 7, hidden: '(' was never closed.", "(", ADVICE),
}  # fmt: skip


def pointed_at(message: str) -> str:
    """Return what stands above the carets; "" if there are none."""
    for line, marks in pairwise(message.splitlines()):
        if marks.strip(" ^") == "" and "^" in marks:
            return line[marks.index("^") : marks.rindex("^") + 1]
    return ""


@pytest.mark.parametrize(("old", "new", "said", "place", "advice"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(
    rnncli: Run, tmp_path: Path, old: str, new: str, said: str, place: str, advice: str
) -> None:
    assert old in MGU
    (tmp_path / "wrong.toml").write_text(MGU.replace(old, new, 1), encoding="utf-8")
    done = rnncli("run", "-l", "@wrong.toml", "--units", "4", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert pointed_at(done.stderr) == place
    assert done.stderr.splitlines()[-1].startswith(advice)
