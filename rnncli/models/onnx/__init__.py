"""ONNX models: reading, computing their recurrent nodes, and running in ONNX Runtime."""
