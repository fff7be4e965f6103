"""MelGAN beside onnxruntime, torch and openvino."""
