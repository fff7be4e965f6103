"""Benchmarks of HiFi-GAN."""
