"""`port` explains padded sequences as PyTorch and Keras compute them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

GATES = {"LSTM": [], "GRU": ["gates=reset,update,candidate"], "RNN": []}
SKIPPED = {False: "padding=end,zeros", True: "padding=end"}
"""The name of a packed sequence, by whether there are two directions: Keras's has zeros there, too."""


def port(rnncli: Run, folder: Path, *args: str) -> tuple[list[list[str]], str]:
    """Return the differences of each explanation, and what is said on stderr."""
    done = rnncli("port", "x.npy", "--expect", "y.npz", *args, "-f", "json", cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    explanations: Any = json.loads(done.stdout)["explanations"]
    return [one["differences"] for one in explanations], done.stderr


def pack(folder: Path, class_name: str, *, longest: int = 6, filling: float = 0.0, **options: Any) -> None:
    """Write a padded input, and what PyTorch returns for it as a packed sequence.

    longest: length of the longest sequence; the input has 6 steps.  filling: the number in the padding.
    """
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module, lengths = getattr(torch.nn, class_name)(5, 4, **options), (longest, 2, 4)
    x = torch.randn(3, 6, 5)
    for row, length in zip(x, lengths, strict=True):
        row[length:] = filling
    first = bool(options.get("batch_first"))
    x = x if first else x.swapaxes(0, 1)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=False)
    output, last = module(packed)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=first)
    names = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": output, **names}.items()}
    np.save(folder / "x.npy", x.numpy())
    np.savez(folder / "y.npz", **tensors)
    torch.save(module.state_dict(), folder / "w.pt")


@pytest.mark.parametrize("class_name", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.slow
def test_packed_sequences_of_pytorch(
    class_name: str, bidirectional: bool, batch_first: bool, rnncli: Run, tmp_path: Path
) -> None:
    pack(tmp_path, class_name, bidirectional=bidirectional, batch_first=batch_first)
    wanted = {*GATES[class_name], SKIPPED[bidirectional], *([] if batch_first else ["axes=time,batch"])}
    found, _ = port(rnncli, tmp_path, "--weights", "w.pt")
    assert [set(names) for names in found] == [wanted]
    found, _ = port(rnncli, tmp_path, "--model", "w.pt")  # the order of the gates is that of PyTorch
    assert [set(names) for names in found] == [wanted - {*GATES[class_name]}]


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_output_may_end_with_the_longest_sequence(
    bidirectional: bool, batch_first: bool, rnncli: Run, tmp_path: Path
) -> None:
    pack(tmp_path, "LSTM", longest=5, bidirectional=bidirectional, batch_first=batch_first)
    found, said = port(rnncli, tmp_path, "--weights", "w.pt")
    assert [set(names) for names in found] == [
        {SKIPPED[bidirectional], *([] if batch_first else ["axes=time,batch"])}
    ]
    assert "left out: the last 1 time step of the input, all padding, which the output does not have" in said


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("way", ["--weights", "--model"])
def test_lengths_say_what_is_padding(way: str, batch_first: bool, rnncli: Run, tmp_path: Path) -> None:
    pack(tmp_path, "GRU", longest=5, filling=7.0, batch_first=batch_first, bidirectional=True)
    args = [way, "w.pt", "--lengths", "5,2,4"]
    if not batch_first:
        order = {
            "--weights": ["--input-axes", "time,batch,features"],
            "--model": ["--assume", "batch_first=false"],
        }
        args += order[way]
    found, said = port(rnncli, tmp_path, *args)
    gates = GATES["GRU"] if way == "--weights" else []
    assert [set(names) for names in found] == [
        {*gates, *([] if batch_first else ["output_axes=time,batch,units"])}
    ]
    assert "left out: the last 1 time step of the input, all padding" in said


@pytest.mark.slow
def test_padding_may_be_anything_if_the_output_shows_it(rnncli: Run, tmp_path: Path) -> None:
    pack(tmp_path, "LSTM", filling=7.0, batch_first=True)
    assert port(rnncli, tmp_path, "--weights", "w.pt")[0] == [["padding=end,zeros"]]
    pack(tmp_path, "LSTM", filling=7.0, batch_first=True, bidirectional=True)
    assert port(rnncli, tmp_path, "--weights", "w.pt")[0] == [["padding=end"]]


def test_the_output_may_be_longer_than_the_input(rnncli: Run, tmp_path: Path) -> None:
    pack(tmp_path, "GRU", batch_first=True)
    with np.load(tmp_path / "y.npz") as stored:
        longer = {**stored, "output": np.pad(stored["output"], ((0, 0), (0, 2), (0, 0)))}
    np.savez(tmp_path / "y.npz", **longer)
    found, said = port(rnncli, tmp_path, "--weights", "w.pt")
    assert [set(names) for names in found] == [{*GATES["GRU"], "padding=end,zeros"}]
    assert "left out: the last 2 time steps of the output, all zeros, which the input does not have" in said


def test_states_alone_are_those_of_the_real_end(rnncli: Run, tmp_path: Path) -> None:
    pack(tmp_path, "GRU", batch_first=True)
    with np.load(tmp_path / "y.npz") as stored:
        states = stored["h_n"]
    np.savez(tmp_path / "y.npz", h_n=states)
    found, _ = port(rnncli, tmp_path, "--weights", "w.pt")
    assert [set(names) for names in found] == [{*GATES["GRU"], "padding=end"}]


@pytest.mark.slow
@pytest.mark.parametrize("end", ["post", "pre"])
@pytest.mark.parametrize("two", [False, True])
def test_padding_that_keras_masks(end: str, two: bool, rnncli: Run, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(4)
    layer = keras.layers.LSTM(4, return_sequences=True, return_state=True, bias_initializer="normal")
    layer = keras.layers.Bidirectional(layer) if two else layer
    sequences = [np.random.default_rng(length).normal(size=(length, 5)) for length in (6, 2, 4)]
    x = keras.utils.pad_sequences(sequences, padding=end, dtype="float32")
    masked, (computed, *_) = layer(x, mask=np.any(x != 0, axis=-1)), layer(x)
    ways = ("forward_", "backward_") if two else ("",)
    names = ["hidden_states", *(f"{way}last_{part}_state" for way in ways for part in ("hidden", "cell"))]
    tensors = dict(zip(names, map(np.asarray, masked), strict=True))
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "y.npz", **dict[str, Any](tensors))
    weights: dict[str, Any] = dict(
        zip(("kernel", "recurrent_kernel", "bias"), layer.get_weights(), strict=False)
    )
    if two:
        paths = [f"{way}/{part}" for way in ("forward", "backward") for part in weights]
        weights = dict(zip(paths, layer.get_weights(), strict=True))
    np.savez(tmp_path / "w.npz", **weights)
    skipped = "padding=end" if end == "post" else "padding=start"
    assert port(rnncli, tmp_path, "--weights", "w.npz")[0] == [[skipped]]
    mask = ("--mask-value", "0")
    assert port(rnncli, tmp_path, "--weights", "w.npz", *mask)[0] == [[]]
    np.savez(tmp_path / "y.npz", hidden_states=np.asarray(computed))
    assert port(rnncli, tmp_path, "--weights", "w.npz")[0] == [[]]
    assert port(rnncli, tmp_path, "--weights", "w.npz", *mask)[0] == [["mask=ignored"]]


@pytest.mark.slow
def test_a_mask_leaves_the_rows_of_masked_steps_as_frameworks_fill_them(rnncli: Run, tmp_path: Path) -> None:
    pack(tmp_path, "LSTM", batch_first=True)
    mask = ("--mask-value", "0")
    found, said = port(rnncli, tmp_path, "--weights", "w.pt", *mask)
    assert found == [[]]
    assert "zeros and repeated rows both count as equal" in said
    with np.load(tmp_path / "y.npz") as stored:
        other = dict(stored)
    other["output"][1, 3:] = 0.5
    np.savez(tmp_path / "y.npz", **other)
    assert port(rnncli, tmp_path, "--weights", "w.pt", *mask)[0] == []
