"""WaveRNN beside onnxruntime and torch."""
