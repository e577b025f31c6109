"""`rnncli compare`: engines with each other, or results with a stored one or with consecutive pieces."""

from __future__ import annotations

from rnncli.commands.compare.compare_flags import CompareRequest

EXAMPLES = """\
rnncli compare --layer lstm --engines numpy,tensorflow --seed 1
rnncli compare data.csv --layer lstm --seed 1 --expect expected.npz
rnncli compare --layer gru --return-sequences --input-shape 1,25,4 --split 10
rnncli compare --layer lstm --return-state --atol last_cell_state=1e-4
"""


def compare(flags: CompareRequest) -> None:
    """Do engines agree? Does a result match a stored one?

    One row per tensor and pair, with the largest difference; exit 1 if a number is outside the tolerances.
    """
    from rnncli.commands.compare.compare_request import answer

    answer(flags)
