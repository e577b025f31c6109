"""The index of a number in a loop over all numbers of an array, as exports write it."""

from itertools import permutations
from math import prod

import numpy as np
import pytest

from rnncli.cells.layout import index, places, regroup


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 1, 6), (2, 2, 2, 3), (5,)])
def test_an_index_finds_the_numbers_of_a_view(shape: tuple[int, ...]) -> None:
    """A loop over an array reads another one, of which the array is a view with its axes in another order."""
    numbers = np.arange(prod(shape)).reshape(shape)
    for order in permutations(range(len(shape))):
        view = numbers.transpose(order)
        place = tuple(places(view.shape)[order.index(axis)] for axis in range(len(shape)))
        for other in (shape, (prod(shape),), (shape[0], prod(shape[1:]))):
            text = index(regroup(place, other), other, start=7)
            read = [eval(text.replace("/", "//"), {"j": j}) for j in range(numbers.size)]
            assert read == (view.ravel() + 7).tolist(), (order, other, text)


def test_an_index_is_as_short_as_can_be() -> None:
    assert index(places((2, 3, 4)), (2, 3, 4)) == "j"
    assert index(regroup(places((2, 3, 4)), (6, 4)), (6, 4), start=7) == "7 + j"
    assert index(places((3, 4))[::-1], (4, 3)) == "j % 4 * 3 + j / 4"
    assert index((), ()) == "0"
