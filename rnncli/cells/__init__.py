"""Cells written as equations: their text, the tree it is parsed into, and what is derived from that tree.

`tree.py` parses an equation without evaluating it, and writes its nodes in any notation.
`text.py` holds a whole cell, `reading.py` and `sizes.py` check it, `builtin.py` has Keras's three cells,
and `program.py` compiles a cell's step.
"""
