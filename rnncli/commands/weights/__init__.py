"""`rnncli weights`: the weights of a saved model or of a --layer, gate by gate; conversion of layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli weights model.keras
rnncli weights checkpoint.pt#decoder --format json
rnncli weights --layer 'LSTM(3)' --seed 42
rnncli weights --layer bigru --units 8 --input-shape batch,None,16
rnncli weights model.h5 --to torch --output weights.pt
"""
OWN_FILES = True


def weights(ask: Ask, output: OutputFlags, *, to: str | None) -> Reply[Any]:
    """The weights of a saved model or of a --layer, gate by gate.

    INPUT is a model or a file of weights: .keras, .h5 or .hdf5 of Keras, a state dict or checkpoint of
    PyTorch (.pt, .pth), .onnx, or .safetensors, .npz and .json with the names of Keras, PyTorch or ONNX.
    FILE#lstm,gru shows only those layers. With --layer, --seed, --weights or --input-shape, it shows the
    weights of that layer, as rnncli run uses them; INPUT is then its input and only sets the number of
    features.
    """
    from rnncli.commands.weights import contents
    from rnncli.commands.weights.answer import WeightsAnswer
    from rnncli.show.answer import Reply

    contents.require_plain(ask)
    if to is not None:
        from rnncli.commands.weights import conversion

        return conversion.answer(to, output, ask)
    source = contents.read(ask)
    return Reply(WeightsAnswer(source.contents, source.description), source.remarks)
