"""Turn an answer into bytes.

An answer (`answer.py`; of a computed result, `result_answer.py`) makes a page (`page.py`).  It is laid out
for a width (`layout.py`): which numbers of a tensor are shown (`numbers.py`), in which digits (`digits.py`).
One file of `formats/` writes it.
"""
