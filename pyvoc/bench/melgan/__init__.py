"""Benchmarks of MelGAN."""
