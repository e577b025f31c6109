"""Cells written as equations: their text, the tree it is parsed into, and what is derived from that tree.

`syntax.py` parses without evaluating, `tree.py` holds the nodes, `text.py` a whole cell and its checks,
`builtin.py` Keras's three cells, and `program.py` compiles a cell's step.
"""
