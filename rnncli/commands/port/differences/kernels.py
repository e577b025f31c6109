"""Kernels whose shapes do not say whether they are transposed, or which of them is which."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.commands.port.hypothesis import Difference, ForeignRun
from rnncli.renderers.wording import Bilingual

TEXTS = {
    "kernel": Bilingual("the kernel is transposed; it is square", "커널이 전치됨 (정방행렬)"),
    "recurrent_kernel": Bilingual(
        "the recurrent kernel is transposed; it is square", "순환 커널이 전치됨 (정방행렬)"
    ),
    "both": Bilingual("both kernels are transposed; they are square", "두 커널이 전치됨 (정방행렬)"),
}
EXCHANGED = Bilingual(
    "the recurrent kernel stands first in the file, before the kernel",
    "파일에서 순환 커널이 커널보다 앞에 있음",
)


def differences(run: ForeignRun) -> Iterator[Difference]:
    """Yield the transposes of square kernels, and the exchange of two unnamed kernels of one shape."""
    kernel, recurrent = run.cells[0].kernel.shape, run.cells[0].recurrent.shape
    square = [
        name
        for name, shape in (("kernel", kernel), ("recurrent_kernel", recurrent))
        if shape[0] == shape[1] > 1
    ]
    for name in [*square, *(["both"] if len(square) == 2 else [])]:
        yield Difference(f"transposed={name}", TEXTS[name], {"transposed": name})
    if kernel == recurrent and not run.has_names:
        yield Difference("kernels=exchanged", EXCHANGED, {"kernels_exchanged": True})
