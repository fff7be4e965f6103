"""Live sound: microphone -> features -> model -> loudspeaker, on a native engine.

>>> import time, pyvoc
>>> from pyvoc import live
>>> with live.Session(pyvoc.load(), pitch=4) as session:
...     time.sleep(10)
...     print(session.stats().underruns)

Python opens and closes things; the audio callbacks and the engine's thread are native, so a busy
interpreter cannot cause an underrun. Files may stand in for either device.
"""

from __future__ import annotations

from pyvoc.live.devices import Device, devices
from pyvoc.live.latency import LatencyReport, measure_latency
from pyvoc.live.session import Options, Session
from pyvoc.live.stats import Stats, Times

__all__ = [
    "Device",
    "LatencyReport",
    "Options",
    "Session",
    "Stats",
    "Times",
    "devices",
    "measure_latency",
]
