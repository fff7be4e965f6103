"""Benchmarks of models that turn a whole mel spectrogram into audio: MelGAN, WaveGlow."""
