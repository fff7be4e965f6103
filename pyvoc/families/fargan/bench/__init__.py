"""FARGAN, beside Opus's fargan_demo."""
