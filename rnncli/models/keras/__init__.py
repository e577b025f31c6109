"""Keras models of every version: reading, computing with NumPy, and running in Keras itself."""
