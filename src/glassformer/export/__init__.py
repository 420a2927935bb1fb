"""Out again: a run as an ONNX graph, or as a folder that `transformers` loads; compared first."""
