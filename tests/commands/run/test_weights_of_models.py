"""--weights with a file that holds a whole model: the note names what --model can run, and works."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

from rnncli.models.keras import file as hdf5

pytestmark = pytest.mark.slow

L = keras.layers
INPUT = "[[[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]]"
NOTE = "rnncli: note: only the weights of "


@keras.saving.register_keras_serializable("tests")
class Scaled(L.Layer):  # type: ignore[misc, name-defined]
    """A layer of the user's own, whose saved config has no name."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def get_config(self) -> dict[str, Any]:
        return {"trainable": True}

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


@keras.saving.register_keras_serializable("tests")
class Decay(L.Layer):  # type: ignore[misc, name-defined]
    """A custom cell with the weights of SimpleRNN."""

    state_size = output_size = 3

    def build(self, shape: Any) -> None:
        for name, sizes in (("kernel", (shape[-1], 3)), ("recurrent_kernel", (3, 3)), ("bias", (3,))):
            setattr(self, name, self.add_weight(shape=sizes, name=name))

    def call(self, inputs: Any, states: Any) -> Any:
        hidden = inputs @ self.kernel + states[0] @ self.recurrent_kernel + self.bias
        return hidden, [hidden]


def text() -> Any:
    words = L.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=2)
    return keras.Sequential([keras.Input((1,), dtype="string"), words, L.Embedding(4, 5), L.LSTM(3)])


def plain() -> Any:
    return keras.Sequential([keras.Input((2, 5)), L.LSTM(3, name="lstm"), L.Dense(2, name="dense")])


def behind() -> Any:
    return keras.Sequential([keras.Input((2, 5)), Scaled(), Scaled(), L.LSTM(3, name="lstm")])


def between() -> Any:
    layers = [L.LSTM(3, name="lstm", return_sequences=True), Scaled(), L.GRU(3, name="gru")]
    return keras.Sequential([keras.Input((2, 5)), *layers])


def note(rnncli: Run, path: Path, *more: str) -> str | None:
    done = rnncli("run", INPUT, "--weights", str(path), *more).success()
    lines = [line for line in done.stderr.splitlines() if line.startswith(NOTE)]
    assert len(lines) <= 1
    return lines[0] if lines else None


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(("build", "names"), [(plain, ""), (between, "#lstm")])
def test_the_note_names_what_can_be_run(
    build: Any, names: str, suffix: str, tmp_path: Path, rnncli: Run
) -> None:
    path = tmp_path / f"a b.{suffix}"
    build().save(path)
    said = note(rnncli, path, "-l", "lstm" if build is plain else "LSTM(3, return_sequences=True)")
    option = f"--model {shlex.quote(f'{path}{names}')}"
    what = f"only {names[1:]}" if names else "the layers of the file"
    assert said == f"{NOTE}{path} are used; {option} runs {what}"
    rnncli("run", INPUT, *shlex.split(option)).success()


class WithoutGraph(keras.Model):  # type: ignore[misc]
    """A model of the user's own class: its file has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = L.LSTM(3)

    def call(self, inputs: Any) -> Any:
        return self.lstm(inputs)


@pytest.mark.parametrize(
    ("build", "suffix"), [(behind, "keras"), (behind, "h5"), (plain, "weights.h5"), (WithoutGraph, "keras")]
)
def test_there_is_no_note_where_model_would_fail(
    build: Any, suffix: str, tmp_path: Path, rnncli: Run
) -> None:
    path, model = tmp_path / f"model.{suffix}", build()
    model(np.zeros((1, 2, 5), "float32"))
    model.save_weights(path) if suffix == "weights.h5" else model.save(path)
    assert note(rnncli, path) is None


def test_a_model_of_text_can_be_run(tmp_path: Path, rnncli: Run) -> None:
    path = tmp_path / "model.keras"
    text().save(path)
    assert "runs the layers of the file" in (note(rnncli, path, "-l", "lstm") or "")


def test_no_note_where_model_refuses_a_cell(tmp_path: Path, rnncli: Run) -> None:
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2, 5)), L.RNN(Decay(), name="decay")]).save(path)
    assert note(rnncli, path, "-l", "simple_rnn") is None
    rnncli("run", INPUT, "--model", str(path)).refusal()


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_the_numbers_are_read_once(
    suffix: str, tmp_path: Path, rnncli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"model.{suffix}"
    plain().save(path)
    read: list[int] = []
    child = hdf5.read_hdf5

    def counting(*args: Any, **options: Any) -> Any:
        found = child(*args, **options)
        older = sum(len(arrays) for arrays in (found.layers or {}).values())
        read.append(older + sum(len(arrays) for _, arrays in found.root.cells()))
        return found

    monkeypatch.setattr(hdf5, "read_hdf5", counting)
    assert note(rnncli, path) is not None
    assert [count for count in read if count] == [5]
