"""What a client may ask of the server; everything that it sends has a bound here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds.

    Attributes
    ----------
    streams
        Streams and utterances at once; one more is refused (503, 1013).
    utterance_frames
        Of one utterance over HTTP.
    message_bytes
        Of one WebSocket message.
    queued_frames
        Of one stream that wait for synthesis; beyond, its socket is not read.
    unsent_seconds
        Of sound that wait for a client to take it; beyond, its stream is not synthesised.
    patience_seconds
        How long a client may send nothing, or take nothing of what it is sent.
    """

    streams: int = 256
    utterance_frames: int = 12000
    message_bytes: int = 1 << 18
    queued_frames: int = 512
    unsent_seconds: float = 2.0
    patience_seconds: float = 30.0
