"""A NIR graph as an ONNX model: one timestep with its states in and out, or all timesteps."""
