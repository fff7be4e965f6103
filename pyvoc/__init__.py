"""Real-time neural vocoders on a CPU core."""
