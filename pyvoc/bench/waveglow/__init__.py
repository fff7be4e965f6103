"""Benchmarks of WaveGlow."""
