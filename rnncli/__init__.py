"""rnncli: explore the shapes and states of recurrent layers.

In Python: `sequence, h, c = rnncli.run(x, "LSTM(3, return_sequences=True, return_state=True)", seed=42)`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, which takes longer to load than everything else here
if TYPE_CHECKING:
    from rnncli.api import (
        ExportedFile,
        LivePage,
        Picture,
        Report,
        Result,
        compare,
        explain,
        export,
        gradients,
        matrix,
        plot,
        port,
        report,
        run,
        shape,
        tour,
        trace,
        weights,
        why,
    )
    from rnncli.errors import (
        DisagreementError,
        EngineError,
        InputError,
        LayerError,
        RnncliError,
        UsageError,
    )
    from rnncli.values import __version__

__all__ = [
    "DisagreementError", "EngineError", "ExportedFile", "InputError", "LayerError", "LivePage", "Picture",
    "Report", "Result", "RnncliError", "UsageError", "__version__", "compare", "explain", "export",
    "gradients", "matrix", "plot", "port", "report", "run", "shape", "tour", "trace", "weights", "why",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Load the version, a public function, or a class of error, on first access."""
    if name == "__version__":
        from rnncli.values import __version__

        return __version__
    if name in __all__:
        from rnncli import api, errors

        return getattr(errors if name.endswith("Error") else api, name)
    raise AttributeError(f"module 'rnncli' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
