"""Training data: speech or dump_data files -> batches that depend on seed, step and row alone."""

from __future__ import annotations

from pyvoc.train.data.augment import AugmentConfig
from pyvoc.train.data.corpus import Clip, Corpus, Holdout, Report, Source, load_corpus

__all__ = [
    "AugmentConfig",
    "Clip",
    "Corpus",
    "Holdout",
    "Report",
    "Source",
    "load_corpus",
]
