"""How near synthesised speech is to the original, and how likely speech is under a model.

>>> from pyvoc import evaluate
>>> found = evaluate.compare(*evaluate.read_pair("original.wav", "synthesised.wav"), delay=80)
>>> found.values["mcd_db"]
>>> evaluate.evaluate_nll(pyvoc.load("voice.gguf"), ["original.wav"]).bits

Every figure has a recipe: :func:`recipes`, :attr:`NllReport.recipe`.
"""

from __future__ import annotations

from pyvoc.evaluate.compare import Comparison, Sound, compare, read, read_pair
from pyvoc.evaluate.nll import NllReport, evaluate_nll, score
from pyvoc.evaluate.opinions import MosReport, evaluate_mos
from pyvoc.evaluate.plots import plot
from pyvoc.evaluate.report import Report, recipes

__all__ = [
    "Comparison",
    "MosReport",
    "NllReport",
    "Report",
    "Sound",
    "compare",
    "evaluate_mos",
    "evaluate_nll",
    "plot",
    "read",
    "read_pair",
    "recipes",
    "score",
]
