"""What a check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Finding", "Report"]

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Finding:
    """One way in which a mel is not the model's.

    Attributes
    ----------
    setting
        ``transposed``, ``bands``, ``values``, ``log``, ``power``, ``normalized``, ``floor``,
        ``fmin``, ``fmax``, ``hop_length``, ``frames``, ``pad``, ``epsilon``, ``mel_scale``,
        ``preemphasis`` or ``audio``.
    found, expected
        In words.
    evidence
        What speaks for it.
    exact
        Whether it can be converted without loss.
    """

    setting: str
    found: str
    expected: str
    evidence: str
    exact: bool


@dataclass(frozen=True)
class Report:
    """The answer.

    Attributes
    ----------
    path, recipe
        The mel, and the name of the recipe that it is held against.
    fits
        Whether the mel could be the model's: nothing speaks against it.
    findings
        What speaks against it.
    notes
        What is worth knowing, and what could not be told.
    evidence
        Numbers: frames, range, floor, per-band means and deviations, correlation in time.
    scales
        The likeliest ways in which the values can be read, with their log-likelihoods.
    fixed
        float32 [frames, bands], converted to the model's mel; None where that is not exact.
    """

    path: str
    recipe: str
    fits: bool
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    evidence: dict[str, Any]
    scales: tuple[dict[str, Any], ...]
    fixed: Float32 | None

    @property
    def fixable(self) -> bool:
        """Whether every finding can be converted without loss."""
        return self.fixed is not None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the converted array."""
        return {
            "path": self.path,
            "recipe": self.recipe,
            "fits": self.fits,
            "fixable": self.fixable,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "evidence": self.evidence,
            "scales": list(self.scales),
        }
