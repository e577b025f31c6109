"""Claims as values, from the texts that users see."""

from rnncli import addresses
from rnncli.result import Claim


def claim(text: str) -> Claim:
    """Return the claim whose text is `hidden_states[:, -1, :]`."""
    address = addresses.parse(text)
    parsed = Claim(address.label, tuple(map(addresses.parse_part, address.texts)))
    assert str(parsed) == text
    return parsed
