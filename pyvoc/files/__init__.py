"""Audio, features and mels in files and pipes."""
