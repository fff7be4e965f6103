"""Training data: speech or dump_data files -> batches that depend on seed, step and row alone."""

from __future__ import annotations

from pyvoc.train.data.augment import AugmentConfig
from pyvoc.train.data.corpus import Clip, Corpus, Holdout, Report, Source, load_corpus
from pyvoc.train.data.dumped import DumpedLpcnet
from pyvoc.train.data.lpcnet import LpcnetWavs

__all__ = [
    "AugmentConfig",
    "Clip",
    "Corpus",
    "DumpedLpcnet",
    "Holdout",
    "LpcnetWavs",
    "Report",
    "Source",
    "load_corpus",
]
