"""Training data: speech or dump_data files -> batches that depend on seed, step and row alone."""

from __future__ import annotations

from pyvoc.train.data.augment import AugmentConfig
from pyvoc.train.data.corpus import Clip, Corpus, Holdout, Report, Source, load_corpus
from pyvoc.train.data.segments import MelDataConfig, MelSegments, open_mel_data

__all__ = [
    "AugmentConfig",
    "Clip",
    "Corpus",
    "Holdout",
    "MelDataConfig",
    "MelSegments",
    "Report",
    "Source",
    "load_corpus",
    "open_mel_data",
]
