"""`rnncli weights`: the weights of a saved model or of a --layer, gate by gate; conversion of layouts."""

from __future__ import annotations

from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags, To

EXAMPLES = """\
rnncli weights model.keras
rnncli weights checkpoint.pt#decoder --format json
rnncli weights --layer 'LSTM(3)' --seed 42
rnncli weights --layer bigru --units 8 --input-shape batch,None,16
rnncli weights model.h5 --to torch --output weights.pt
"""


def weights(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags, output: OutputFlags, to: To = None
) -> None:
    """The weights of a saved model or of a --layer, gate by gate.

    INPUT is a model or a file of weights: .keras, .h5 or .hdf5 of Keras, a state dict or checkpoint of
    PyTorch (.pt, .pth), .onnx, or .safetensors, .npz and .json with the names of Keras, PyTorch or ONNX.
    FILE#lstm,gru shows only those layers. With --layer, --seed, --weights or --input-shape, it shows the
    weights of that layer, as rnncli run uses them; INPUT is then its input and only sets the number of
    features.
    """
    from rnncli.cli.output import delivery
    from rnncli.commands.weights import weight_source
    from rnncli.commands.weights.answer import WeightsAnswer

    weight_source.require_plain(run)
    reading = weight_source.file_flags(input_flags, layer, run)
    if to is not None:
        from rnncli.commands.weights import conversion

        conversion.answer(to, output, reading, lambda: weight_source.read(input_flags, layer, run))
        return
    deliver = delivery(output, *reading)
    found = weight_source.read(input_flags, layer, run)
    deliver(WeightsAnswer(found.contents, found.description), found.remarks)
