"""The numbers of a page are rnncli's: returned, explained, and their gradients; without a browser."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pages import CELLS, PageCase, answers, page_of, random_pages

from rnncli import compute
from rnncli.ask import Ask
from rnncli.commands.report.page import build_page
from rnncli.compute import chain_rule
from rnncli.compute.derivation import explain
from rnncli.errors import RnncliError
from rnncli.inputs import sample_files
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import Result
from rnncli.values import Array

TOLERANCE = 1e-6
"""Times the largest number of a tensor, at least 1."""


@pytest.mark.slow
def test_random_layers_have_the_numbers_of_rnncli() -> None:
    check(list(random_pages(200)))


@pytest.mark.slow
def test_cells_of_the_samples_have_the_numbers_of_rnncli() -> None:
    rng = np.random.default_rng(3)
    pages = []
    for cell in CELLS:
        options = "return_sequences=True, return_state=True"
        for layer in (
            f"@{cell}(3, {options})",
            f"Bidirectional(@{cell}(2, return_state=True), merge_mode='sum')",
        ):
            inputs = rng.normal(size=(2, 5, 4)).astype(np.float32)
            pages.append(page_of(input=inputs, layer=[layer], seed=7, mask=rng.random((2, 5)) > 0.2))
    check(pages)


@pytest.mark.slow
def test_trained_samples_have_the_numbers_of_rnncli() -> None:
    """Also with sentences of different lengths."""
    review = json.loads(sample_files.path("review").read_text())
    sentences = json.dumps({**review, "inputs": ["the film is bad", "this plot was not very clever"]})
    check([page_of(input=text) for text in ("note", "review", "review_ko", "bank", "brackets", sentences)])


def test_double_precision_is_kept() -> None:
    page = page_of(
        input=np.random.default_rng(0).normal(size=(2, 6, 3)), layer=["GRU(4, dtype='float64')"], seed=1
    )
    (answer,) = answers([page], [[]])
    ours = compute.run(page.case, "numpy").outputs[0].values
    np.testing.assert_allclose(answer["returned"]["hidden_state"], ours, rtol=0, atol=5e-13)


def test_nan_and_infinity_are_words() -> None:
    inputs = np.array([[[1.0, np.nan], [np.inf, 0.5]]], np.float32)
    (answer,) = answers([page_of(input=inputs, layer=["LSTM(2, return_sequences=True)"], seed=1)], [[]])
    assert "NaN" in answer["returned"]["hidden_states"][0][0]


@pytest.mark.parametrize("merge", ["sum", "mul", "ave", "concat"])
def test_a_number_that_opens_another_has_its_value(merge: str) -> None:
    """What a layer reads of merged halves, some of them 0 at a masked step, is no number of one half."""
    below = f"Bidirectional(GRU(2, return_sequences=True), merge_mode='{merge}')"
    rng = np.random.default_rng(1)
    inputs, mask = rng.normal(size=(1, 4, 3)).astype(np.float32), np.array([[1, 0, 1, 1]], bool)
    for layers, names in (
        ([below, "LSTM(2, go_backwards=True, return_sequences=True)"], ["1/x", "1/input", "hidden_states"]),
        ([below], ["hidden_states"]),
    ):
        addresses = [f"{name}[0,{step},{unit}]" for name in names for step in range(4) for unit in range(2)]
        (answer,) = answers([page_of(input=inputs, layer=layers, mask=mask, seed=2)], [addresses])
        opened = [number for numbers in answer["opened"] for number in numbers]
        assert opened
        for address, shown, value in opened:
            assert shown == pytest.approx(value, abs=1e-6), address


def test_a_layer_of_a_model_may_be_called_as_a_half() -> None:
    said = []
    for name in ("backward/", "a[0]/", ""):
        page = page_of(layer=["LSTM(3)"], seed=1)
        page.data["layers"][0] |= {"prefix": name, "names": name}
        addresses = [f"{name}{number}" for number in ("forget[0,1,2]", "hidden_state[0,1]", "x[0,1,2]")]
        (answer,) = answers([page], [addresses])
        said.append([(explained["kind"], explained["value"]) for explained in answer["explained"]])
    assert [kind for kind, _ in said[0]] == ["line", "same", "x"]
    assert said[0] == said[1] == said[2]


def test_scripts_styles_and_texts_are_small() -> None:
    text = build_page(Ask(layer=["bilstm"], input_shape="1,4,5", seed=7), "en").text
    kinds = re.findall(r"<(script|style)([^>]*)>(.*?)</\1>", text, re.DOTALL)
    (data,) = (body for _, attributes, body in kinds if "json" in attributes)
    written = [body for _, attributes, body in kinds if "json" not in attributes]
    texts = json.dumps(json.loads(data)["korean"], ensure_ascii=False)
    assert len("".join([*written, texts]).encode()) < 195_000


def check(pages: list[PageCase]) -> None:
    """Compare what the scripts return, explain and differentiate with rnncli."""
    results = [compute.run(page.case, "numpy") for page in pages]
    addresses = [
        [f"{each.name}{[size - 1 for size in each.values.shape]}".replace(" ", "") for each in result.outputs]
        for result in results
    ]
    for page, result, wanted, answer in zip(
        pages, results, addresses, answers(pages, addresses), strict=True
    ):
        assert list(answer["returned"]) == [tensor.name for tensor in result.outputs]
        in_float64 = compute.run(in_double(page.case), "numpy").outputs
        for tensor, exact in zip(result.outputs, in_float64, strict=True):
            theirs = numbers(answer["returned"][tensor.name])
            assert_close(theirs, tensor.values, tolerance(tensor.values, exact.values), page.ask.layer)
        for address, explained, gradient in zip(
            wanted, answer["explained"], answer["gradients"], strict=True
        ):
            check_explained(page, address, explained)
            check_gradient(page, result, address, numbers(gradient))


def numbers(nested: Any) -> Array:
    return np.array(nested, dtype=np.float64)  # "NaN" and "Infinity" are numbers to NumPy


def assert_close(theirs: Array, ours: Array, most: float, layer: Any) -> None:
    assert theirs.shape == ours.shape
    same = (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0, np.abs(theirs - ours))
    assert not (distance > most).any(), f"{layer}: {distance.max()} > {most}"


def tolerance(values: Array, exact: Array) -> float:
    """Return how far a tensor may be: where rounding is amplified, twice the distance to float64."""
    least = TOLERANCE * max(1.0, float(np.abs(values[np.isfinite(values)]).max(initial=0)))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.where(np.isfinite(values), values - exact, 0))
    return max(least, 2 * float(np.nanmax(apart, initial=0)))


def in_double(case: Case) -> Case:
    """Return the Case with the same weights, computed in float64."""
    weights, _ = compute.weights_and_seeds(case, case.stack, "numpy")
    stack = Stack(_with_dtype(spec) for spec in case.stack)
    states = case.initial_state and tuple(state.astype(np.float64) for state in case.initial_state)
    return case._replace(
        stack=stack,
        inputs=case.inputs.astype(np.float64),
        initial_state=states,
        weights={name: array.astype(np.float64) for name, array in weights.items()},
    )


def _with_dtype(spec: Any) -> Any:
    config = {
        name: _with_dtype(value)
        if hasattr(value, "config") and name in ("layer", "backward_layer", "cell")
        else value
        for name, value in spec.config.items()
    }
    return replace(spec, config={**config, "dtype": "float64"})


def check_explained(page: PageCase, address: str, explained: dict[str, Any]) -> None:
    """Compare the value of a number, and the sum of its equation's terms where it has one."""
    try:
        explanation, _ = explain(page.case, address)
    except RnncliError:
        return
    ours, theirs = explanation.value, float(explained["value"])
    if np.isfinite(ours):
        assert abs(ours - theirs) <= 1e-4 * max(1.0, abs(ours)), (page.ask.layer, address)


def check_gradient(page: PageCase, result: Result, address: str, theirs: Array) -> None:
    """Compare the gradient by the input with NumPy's, for the number's own sequence."""
    tensor = next(index for index, one in enumerate(result.outputs) if address.startswith(f"{one.name}["))
    values = result.outputs[tensor].values
    batch = values.shape[0] - 1
    walk = chain_rule._BackwardWalk(page.case, batch)
    (ours,) = walk.from_entries(tensor, np.array([values[0].size - 1]))
    assert not np.any(theirs[:batch])
    expected = ours[0]
    if not np.isfinite(expected).all() or not np.isfinite(theirs).all():
        return
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    assert np.abs(theirs[batch] - expected).max(initial=0) <= 1e-4 * largest, (page.ask.layer, address)
