"""Flags take numbers in ASCII digits, without the underscores and other digits that Python takes."""

from __future__ import annotations

import pytest
from command import Run

import rnncli as package
from rnncli.errors import UsageError

REFUSED = [
    ("run --seed {}", "--seed: {!r} is not a plain number."),
    ("run --seed={}", "--seed: {!r} is not a plain number."),
    ("run --units {}", "--units: {!r} is not a plain number."),
    ("run --calls {}", "--calls: {!r} is not a plain number."),
    ("run --precision {}", "--precision: {!r} is not a plain number."),
    ("run --width {}", "--width: {!r} is not a plain number."),
    ("run --dropout {}", "--dropout: {!r} is not a plain number."),
    ("run --mask-value {}", "--mask-value: {!r} is not a plain number."),
    ("run --pad post --pad-value {}", "--pad-value: {!r} is not a plain number."),
    ("run --check --atol {}", "--atol: {!r} is not a valid number."),
    ("run --check --rtol hidden_state={}", "--rtol: {!r} is not a valid number."),
    ("run --memory {}", "--memory: {!r} is not a size."),
    ("run --input-shape 1,{},2", "{!r}, which is not a size above 0."),
    ("run --kernel-initializer constant:{}", "value={!r} is not a number."),
    ("run --kernel-initializer random_uniform:0:{}", "maxval={!r} is not a number."),
    ("run --hold forget={}", "--hold forget={}: {!r} is not a number."),
    ("run --hold forget[:,{}]=1", "{!r} selects no units."),
    ("run --hold forget=1@{}:", "selects no time steps."),
    ("trace --unit {}", "--unit: {!r} is not a plain number."),
    ("trace --batch {}", "--batch: {!r} is not a plain number."),
    ("trace --step {}", "--steps {}: this is not a time step or a range."),
    ("trace --step {}:", "this is not a time step or a range."),
    ("explain hidden_state[0,{}]", "an index must be a whole number."),
    ("explain hidden_state[0,0] --depth {}", "--depth: {!r} is not a plain number."),
    ("compare --split {}", "--split: {!r} is not a plain number."),
    ("gradients --of hidden_state[0,{}]", "{!r} is not an index for units."),
    ("plot -o x.png --size {}x4", "this is not a width and height."),
    ("tour --step {}", "--step: {!r} is not a plain number."),
]


@pytest.mark.parametrize("number", ["1_0", "٣", "２"])
@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_a_number_that_only_python_writes_is_refused(words: str, said: str, number: str, rnncli: Run) -> None:
    done = rnncli(*(word.format(number) for word in words.split()))
    assert (done.returncode, done.stdout) == (2, "")
    assert said.format(*[number] * said.count("{")) in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "run --seed +3", "run --seed 03", "run --dropout .5", "run --mask-value -1e-3", "run --memory 1.5G",
        "run --hold forget=+1", "run --hold forget=1e-3", "run --kernel-initializer constant:-.1",
        "run --check --atol 1E-4",
        "trace --unit -1", "trace --step -2:",
    ],
)  # fmt: skip
def test_plain_numbers_are_taken(words: str, rnncli: Run) -> None:
    assert rnncli(*words.split()).returncode == 0


@pytest.mark.parametrize("number", ["1_0", "٣"])
def test_python_refuses_them_in_texts(number: str) -> None:
    with pytest.raises(UsageError, match="is not a number"):
        package.run(hold=f"forget={number}")
    with pytest.raises(UsageError, match="is not a size"):
        package.run(memory=f"{number}MB")
