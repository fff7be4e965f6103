"""Models and streams: features in, samples out."""
