"""Could these numbers be a model's mel, and if not, what are they?"""

from __future__ import annotations

from pyvoc.melcheck.check import check_array, check_file, check_rows
from pyvoc.melcheck.report import Finding, Report

__all__ = ["Finding", "Report", "check_array", "check_file", "check_rows"]
