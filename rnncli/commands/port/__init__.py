"""`rnncli port`."""

from __future__ import annotations

from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags
from rnncli.commands.port.port_flags import REFUSED, PortFlags

__all__ = ["REFUSED", "port"]

EXAMPLES = """\
rnncli port x.npy --weights torch_gru.npz --expect y.npy --layer 'GRU(8)'
rnncli port x.npy --weights torch_gru.npz --expect y.npy --output gru.npz
"""


def port(input_flags: InputFlags, layer: LayerFlags, port_flags: PortFlags, output: OutputFlags) -> None:
    """Find which known differences, singly or in pairs, explain another framework's numbers.

    INPUT is what the other framework was given, --weights its weights and --expect what it returned. port
    applies every known difference to Keras's computation, and shows those that explain all numbers.
    --output writes the weights in Keras's layout: npz, safetensors, json, h5. Exit code 1 if none fits.
    """
    from rnncli.commands.port import port_request

    port_request.answer(input_flags, layer, port_flags, output)
