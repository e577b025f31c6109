"""--lengths: the real time steps of each sequence."""

import json
import shlex
from typing import Any

import numpy as np
import pytest

import rnncli as package
from rnncli.errors import RnncliError, UsageError

X = np.random.default_rng(3).normal(size=(3, 4, 2)).astype("float32")
MASK = np.arange(4) < np.array([[4], [1], [2]])


@pytest.mark.parametrize("layer", ["lstm", "bigru", "simple_rnn"])
def test_lengths_are_the_mask_that_they_describe(layer: str) -> None:
    """Held to Keras, which gets the mask."""
    own: dict[str, Any] = {"units": 2, "return_sequences": True, "return_state": True, "seed": 1}
    wanted = package.run(X, layer, mask=MASK, engine="tensorflow", **own)
    for lengths in ("4,1,2", [4, 1, 2], np.array([4, 1, 2])):
        result = package.run(X, layer, lengths=lengths, **own)
        for tensor in wanted.outputs:
            np.testing.assert_allclose(result[tensor.name], tensor.values, atol=1e-6)


def test_lengths_and_other_masks_keep_the_steps_that_all_keep() -> None:
    x = X.copy()
    x[0, 1] = 0
    both = package.run(x, "gru", lengths=[4, 1, 2], mask_value=0.0, seed=1)
    wanted = package.run(x, "gru", mask=MASK & (x != 0).any(-1), seed=1)
    np.testing.assert_array_equal(both["hidden_state"], wanted["hidden_state"])
    ragged = [X[0], X[1, :3]]
    padded = package.run(ragged, "gru", lengths=[2, 3], pad="post", seed=1)
    np.testing.assert_allclose(
        padded["hidden_state"][0], package.run(X[:1, :2], "gru", seed=1)["hidden_state"][0], atol=1e-6
    )


@pytest.mark.parametrize(("lengths", "said"), [
    ([4, 1], "2 lengths given for 3 sequences."),
    ([4, 5, 1], "lengths has 5, but the input has 4 time steps."),
    ([4, 0, 1], "lengths='4,0,1': a length is a whole number above 0."),
    ("4,1.5,1", "lengths='4,1.5,1': a length is a whole number above 0."),
    ([], "a length is a whole number above 0."),
])  # fmt: skip
def test_lengths_that_are_not_those_of_the_sequences(lengths: Any, said: str) -> None:
    with pytest.raises(RnncliError) as caught:
        package.run(X, "gru", lengths=lengths)
    assert said in str(caught.value)


def test_lengths_beside_another_word_on_the_ends() -> None:
    with pytest.raises(UsageError, match="lengths and mask both say which time steps are real"):
        package.run(X, "gru", lengths=[4, 1, 2], mask=MASK)
    with pytest.raises(UsageError, match="where pad='pre' puts the padding"):
        package.run([X[0], X[1, :2]], "gru", lengths=[4, 2], pad="pre")


def test_what_fits_only_the_other_order_of_axes_says_both_readings(rnncli: Any) -> None:
    turned = X.swapaxes(0, 1)
    words = ["run", json.dumps(turned.tolist()), "-l", "gru", "--seed", "1", "-f", "json"]
    for given in (["--lengths", "4,1,2"], ["--mask", json.dumps(MASK.tolist())]):
        said = rnncli(*words, *given).refusal()
        assert "read batch first, the input has 4 sequences of 3 time steps." in said
        assert "Read time first, it has 3 sequences of 4 time steps, which fits: " in said
        way = shlex.split(said.rpartition("which fits: ")[2])
        (values,) = (one["values"] for one in rnncli(*words, *given, *way).answer()["outputs"])
        wanted = package.run(X, "gru", mask=MASK, seed=1)["hidden_state"]
        np.testing.assert_allclose(values, wanted, atol=1e-6)


def test_no_other_order_is_offered_where_it_cannot_be_chosen(rnncli: Any) -> None:
    for words in (["--input-shape", "4,3,2"], ["[[[1], [2]], [[3]], [[3]]]", "--pad", "post"]):
        sequences = "4" if "--input-shape" in words else "3"
        lengths = "1,2,3" if "--input-shape" in words else "1,2"
        refused = rnncli("run", *words, "--lengths", lengths)
        assert f"lengths given for {sequences} sequences.\nGive one length" in refused.stderr


@pytest.mark.slow
def test_every_command_takes_lengths(rnncli: Any) -> None:
    words = [json.dumps(X.tolist()), "-l", "gru", "--seed", "1"]
    more = {
        "trace": (), "explain": ("hidden_state[1,0]",), "gradients": (), "plot": ("--terminal",),
        "compare": (), "shape": (), "export": ("--to", "numpy"), "matrix": (),
    }  # fmt: skip
    for command, own in more.items():
        own_words = words[:-2] if command == "shape" else words
        rnncli(command, *own, *own_words, "--lengths", "4,1,2").success()
        rnncli(command, *own, *own_words, "--lengths", "4,1").refusal()
    trace = package.trace(X, "gru", lengths=[4, 1, 2], seed=1)
    assert trace["status"][1].tolist() == package.trace(X, "gru", mask=MASK, seed=1)["status"][1].tolist()
    lines = "\n".join(json.dumps(one) for one in [X.tolist(), X[::-1].tolist()])
    rnncli("run", "--stream", "-l", "gru", "--seed", "1", "--lengths", "4,1,2", input=lines).success()
