"""The conversion itself: recognise, read, quantise, save, and measure what the precision costs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyvoc import families
from pyvoc.container import Container, write_container
from pyvoc.container.base import COMB
from pyvoc.container.layout import I8, I16, PRECISIONS
from pyvoc.container.mel import LAYOUT as MEL
from pyvoc.container.tensors import Scalar
from pyvoc.convert.bundle import chosen
from pyvoc.convert.checkpoint import Checkpoint, Told
from pyvoc.convert.detect import detect
from pyvoc.errors import Error, ModelError, OptionError, UnsupportedError
from pyvoc.files import mels
from pyvoc.files.digest import sha256
from pyvoc.files.outputs import check_outputs, check_place
from pyvoc.quant import encode
from pyvoc.quant.audio_report import compare_audio
from pyvoc.quant.prune import SparsityReport, prune
from pyvoc.quant.reports import Compare, Report


@dataclass(frozen=True)
class Conversion:
    """What `convert` did.

    Parameters
    ----------
    source, target
        The checkpoint and the model file.
    format
        The upstream format that was recognised.
    architecture, precision
        Of the model file.
    bytes
        Size of the model file.
    notes
        Sentences that the user should read.
    sample_rate
        Hz, of the model's audio.
    rate_from
        Who says it: the checkpoint, a file beside it, the user; empty where nobody does, and
        it is what its upstream usually has.
    weights
        ``plain``, or the name of those averaged over training that were taken.
    report
        Error of the precision, and of what was pruned, against the checkpoint's float form; None
        when it was not measured.
    sparsity
        Blocks of zeros; None where the model's matrices are never block-sparse, or too small.
    """

    source: str
    target: str
    format: str
    architecture: str
    precision: str
    bytes: int
    notes: tuple[str, ...]
    sample_rate: int
    rate_from: str
    weights: str
    report: Report | None
    sparsity: SparsityReport | None = None


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    precision: str = "f32",
    arch: str = "auto",
    load: Callable[[str], Any] | None = None,
    mel: str | os.PathLike[str] | None = None,
    rate: int | None = None,
    recipe: str | os.PathLike[str] | None = None,
    weights: str | None = None,
    which: str | None = None,
    **options: Any,
) -> Conversion:
    """Convert an upstream checkpoint to a model file.

    Parameters
    ----------
    source
        The checkpoint, in any of the formats that the families read (`Family.checkpoints`);
        recognised by content. Or what holds it: a folder, or a zip archive such as a wheel.
    target
        Where to save; replaced only when the conversion has succeeded.
    precision
        ``f32``, ``bf16`` or ``int8``.
    arch
        ``auto``, or the name of the family that it must be of.
    load
        Opens a model file in the runtime (`pyvoc.load`), to measure the error of the precision.
        None leaves the measurement out.
    mel
        File of a mel spectrogram that a mel-driven model is measured on; None: a synthetic one.
    rate
        Sample rate in Hz of a mel-driven model. None: what the checkpoint or a file of settings
        beside it says, else what its upstream usually has (`Conversion.rate_from` tells).
    recipe
        Of a mel-driven model's mels: a preset's name, or a file (YAML, JSON) of settings as
        upstream programs have them. None: as for `rate`.
    weights
        ``plain``, or ``ema`` for those averaged over training, where a checkpoint has both, or the
        name of one of several. None: plain, with a note where there are others.
    which
        Of several checkpoints in a folder or an archive: its path within, its name, or a part of
        its name that no other has.
    options
        What a checkpoint cannot say: the family's options of ``convert``
        (`pyvoc.families.options_for`), such as ``halves`` or ``mode``; and ``sparsity``, the
        fraction of blocks, between 0 and 1, that shall be zero in block-sparse matrices: the
        smallest weights are pruned until they are. Without it nothing is pruned: zeros are found
        either way.

    Returns
    -------
    Conversion
        What was done, and the measured error. A note stands for it when this build of the runtime
        does not run models of the architecture.

    Raises
    ------
    ModelError
        The checkpoint is damaged or not known, or there are several and `which` tells none.
    UnsupportedError
        A package of the extra ``convert`` is missing, or int8 needs calibration first.
    Error
        A file cannot be read or written, or the model would overwrite what it is made from.
    """
    if precision not in PRECISIONS:
        raise Error(f"precision '{precision}' is unknown, expected {', '.join(PRECISIONS)}")
    if arch != "auto" and arch not in families.names():
        known = ", ".join(families.names())
        raise Error(f"architecture '{arch}' is unknown, expected auto, {known}")
    if options.get("tables") is not None and precision != "int8":
        raise OptionError(f"tables are integers at precision int8 only, not at {precision}")
    check_outputs([target], inputs=[source, mel])
    check_place(target)
    told = Told(rate, recipe, weights)
    with chosen(source, which) as path:
        checkpoint = detect(path, arch, options=options, told=told)(path)
        digest, stem = sha256(checkpoint.file or path), Path(path).stem
    sparsity = checkpoint.sparsity
    arrays, sparse = prune(
        checkpoint.spec, checkpoint.arrays, metadata=checkpoint.metadata, sparsity=sparsity
    )
    pruned = replace(checkpoint, arrays=arrays)
    container = _encode(pruned, stem, digest, precision, str(source))
    checkpoint.spec.validate(container, str(source))
    report, notes = None, checkpoint.remarks
    if load is None:
        write_container(target, container, spec=checkpoint.spec)
    else:
        with tempfile.TemporaryDirectory(prefix="pyvoc-convert-") as scratch:
            trial = Path(scratch) / "model.gguf"
            write_container(trial, container, spec=checkpoint.spec)
            exact = trial
            # What it says is what is drawn: without a comb.
            combed = container.metadata.get(COMB.key, 0.0) != 0.0
            if precision != "f32" or sparsity is not None or combed:
                exact = Path(scratch) / "float.gguf"
                plain = replace(checkpoint, comb=0.0 if combed else None)
                reference = _encode(plain, "float", digest, "f32", str(source))
                write_container(exact, reference, spec=checkpoint.spec)
            try:
                pair = load(str(exact)), load(str(trial))
            except UnsupportedError as error:
                what = f"{checkpoint.spec.architecture} at {precision}"
                why = str(error).removeprefix(f"{trial}: ")
                notes = (*notes, f"not measured: {what} does not run here: {why}")
            else:
                report = _report(*pair, container.metadata, mel)
        write_container(target, container, spec=checkpoint.spec)
    if report is not None and mel is None and _is_calibrated(checkpoint, precision):
        notes = (
            *notes,
            "its int8 layers have the ranges of speech, which a synthetic mel leaves: --mel MEL "
            "measures on speech",
        )
    return Conversion(
        source=str(source),
        target=str(target),
        format=checkpoint.format,
        architecture=checkpoint.spec.architecture,
        precision=precision,
        bytes=Path(target).stat().st_size,
        notes=notes,
        sample_rate=checkpoint.sample_rate,
        rate_from=checkpoint.rate_from,
        weights=checkpoint.weights,
        report=report,
        sparsity=sparse,
    )


def _is_calibrated(checkpoint: Checkpoint, precision: str) -> bool:
    return precision == "int8" and families.get(checkpoint.spec.architecture).calibrated


def _report(
    exact: Any,
    model: Any,
    metadata: Mapping[str, Scalar],
    mel: str | os.PathLike[str] | None,
) -> Report:
    """As the family measures it: distributions, or audio where a model gives audio at once."""
    family = families.get(str(metadata["general.architecture"]))
    frames = None
    if mel is not None:
        if metadata["pyvoc.features.layout"] != MEL:
            raise Error(f"{family.architecture} is not measured on a mel spectrogram")
        frames = mels.load(mel, bands=int(metadata["pyvoc.features.bands"]))
    compare: Compare = compare_audio if family.report is None else family.resolve(family.report)
    return compare(exact, model, metadata=metadata, mel=frames)


def _encode(
    checkpoint: Checkpoint, name: str, digest: str, precision: str, source: str
) -> Container:
    given = {
        "general.name": name.encode("utf-8", "replace").decode("utf-8")[:64] or "model",
        "pyvoc.source.format": checkpoint.format,
        "pyvoc.source.sha256": digest,
    }
    mine = checkpoint.metadata  # a model file says where it is from
    metadata = {**{k: v for k, v in given.items() if k not in mine}, **mine}
    if checkpoint.comb is not None:
        metadata[COMB.key] = checkpoint.comb
    try:
        return encode(
            checkpoint.spec,
            checkpoint.arrays,
            metadata=metadata,
            precision=precision,
            kept=checkpoint.kept,
            tables=I8 if checkpoint.tables == "int8" else I16,
        )
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
