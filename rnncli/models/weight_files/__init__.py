"""Files of weights without a graph: PyTorch, safetensors, npz and JSON."""
