"""Labels of gates and states inside a loop over time, the keys of a trace's arrays."""

from rnncli.result import Label


def gate(name: str, kind: str = "activation", cell: int | None = None) -> Label:
    return Label(name, cell=cell, kind=kind)


def state(name: str, cell: int | None = None) -> Label:
    return Label(name, cell=cell, kind="")
