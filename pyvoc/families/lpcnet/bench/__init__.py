"""LPCNet and its features, beside xiph/LPCNet."""
