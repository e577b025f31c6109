"""Pictures: a Sheet says which heat maps there are, and two files draw it, as a figure or in a terminal."""
