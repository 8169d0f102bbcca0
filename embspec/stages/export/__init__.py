"""Other forms of the model: ONNX, golden vectors, the ranges of its numbers."""
