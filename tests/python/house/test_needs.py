"""What a family's ``needs.cmake`` asks for is what its sources use.

In a build of some families only, kernels of groups that none of them asks for are left out: a slot
that is used and not asked for would be a null pointer.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "csrc" / "models"
FAMILIES = sorted(p.parent.name for p in MODELS.glob("*/needs.cmake"))
# What the layers of nn/ and dsp/ use that a family builds with.
THROUGH = {
    r"run_many": {"dense", "dense_many"},
    r"pack_linear|pack_dense|DenseLayer": {"dense"},
    r"pack_gru": {"gru"},
    r"\.rows = w_\.tables\.type": {"gru_rows"},
    r"list_conv|nn::Conv\b": {"conv"},
    r"GatedConv": {"gated_conv"},
    r"DilatedConv": {"winograd"},
    r"dsp::PitchNetwork": {"mix"},
    r"models/conv_vocoder\.h": {"dense", "conv"},
}


def groups() -> dict[str, str]:
    """The group of each slot, by the table of kernels."""
    table = (ROOT / "csrc" / "kernels" / "table.h").read_text(encoding="utf-8")
    found = {}
    for name, body in re.findall(r"#define PYVOC_(\w+)_SLOTS\(K\)((?:.*\\\n)*.*\n)", table):
        if name != "KERNEL":
            found.update({slot: name.lower() for slot in re.findall(r"\bK\((\w+),", body)})
    return found


def needs(family: str) -> tuple[set[str], set[str]]:
    text = (MODELS / family / "needs.cmake").read_text(encoding="utf-8")
    kernels = re.search(r"set\(NEEDS_KERNELS ([\w ]+)\)", text)
    features = re.search(r"set\(NEEDS_FEATURES ([\w ]+)\)", text)
    assert kernels is not None and features is not None
    return set(kernels[1].split()), set(features[1].split())


def test_every_family_says_what_it_needs() -> None:
    assert set(FAMILIES) == {p.name for p in MODELS.iterdir() if p.is_dir()}
    assert len(groups()) > 50
    assert len(set(groups().values())) == 14


@pytest.mark.parametrize("family", FAMILIES)
def test_needs_are_complete(family: str) -> None:
    paths = [p for p in (MODELS / family).iterdir() if p.suffix in (".cc", ".h")]
    source = "\n".join(p.read_text(encoding="utf-8") for p in paths)
    slots = groups()
    used = {slots[word] for word in re.findall(r"\w+", source) if word in slots}
    for pattern, wanted in THROUGH.items():
        if re.search(pattern, source):
            used |= wanted
    kernels, features = needs(family)
    assert used <= kernels, f"needs.cmake of {family} lacks {sorted(used - kernels)}"
    assert kernels <= set(slots.values()) and features <= {"cepstral", "mel"}
