"""Bulk synthesis: a manifest of many thousand utterances, spoken by one process per core.

`run` reads a manifest (:mod:`pyvoc.bulk.manifest`), leaves out what a journal in the output folder
says is done (:mod:`pyvoc.bulk.journal`), and divides the rest among worker processes, each of which
does what ``pyvoc synth`` does with many inputs (:mod:`pyvoc.bulk.worker`).
"""

from pyvoc.bulk.runner import Failed, Report, run

__all__ = ["Failed", "Report", "run"]
