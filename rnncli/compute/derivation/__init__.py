"""Derive one number of a result: the equations that computed it, with the numbers of a trace."""
