"""`rnncli port`."""

from __future__ import annotations

from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags
from rnncli.commands.port.port_flags import REFUSED, PortFlags

__all__ = ["REFUSED", "port"]

SECTION = "Between frameworks"
SUMMARY = "Which known differences make another framework's numbers match."
EXAMPLES = """\
rnncli port x.npy --weights torch_gru.npz --expect y.npy --layer 'GRU(8)'
rnncli port x.npy --weights torch_gru.npz --expect y.npy --output gru.npz
"""


def port(input: InputFlags, layer: LayerFlags, port: PortFlags, output: OutputFlags) -> None:
    """Find the known differences, alone or two together, that make foreign numbers match.

    INPUT is what the other framework was given, --weights its weights and --expect what it returned. port
    computes the layer in Keras's way under every known difference, and shows those that explain all numbers.
    --output writes the weights in Keras's layout: npz, safetensors, json, h5. It exits with 1 if none fits.
    """
    from rnncli.commands.port import port_request

    port.validate()
    port_request.answer(input, layer, port, output)
