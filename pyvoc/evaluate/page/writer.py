"""One HTML file with the sounds of several systems beside each other: players, pictures, figures.

The file holds all that it needs and asks for nothing: sounds (FLAC, which every browser plays) and
pictures are data URIs, and its content security policy forbids the browser to fetch anything and
to run any script but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from pyvoc.errors import AudioError, Error
from pyvoc.evaluate.compare import MEASURES, Measure
from pyvoc.evaluate.page import picture
from pyvoc.files import audio
from pyvoc.files.atomic import atomic_open

__all__ = ["MOST_BYTES", "MOST_SECONDS", "Clip", "Rendition", "write_page"]

MOST_SECONDS = 30.0
"""Of a sound that a page plays; longer ones are cut."""
MOST_BYTES = 48 << 20
"""Of clips on a page, about: what browsers open without delay."""
_PRELOADED = 40
"""Players that may look at their sounds at once: some browsers refuse more than that."""


@dataclass(frozen=True)
class Rendition:
    """A clip as one system says it.

    Attributes
    ----------
    label
        The system's name: renditions of one label are one system.
    samples
        Float [samples] in -1..1 (clipped), or int16 [samples]; mono.
    rate
        Hz.
    figures
        Values by :attr:`pyvoc.evaluate.compare.Measure.key`; None where there was nothing to
        measure.
    note
        What a listener must know, in a sentence.
    yardstick
        No system but what systems are held against: the best is looked for among the others.
    """

    label: str
    samples: npt.NDArray[np.floating] | npt.NDArray[np.int16]
    rate: int
    figures: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    yardstick: bool = False


@dataclass(frozen=True)
class Clip:
    """What several systems say.

    Attributes
    ----------
    name
        For its heading.
    renditions
        In the order in which they are shown: the original first.
    text
        What is said, where that is known.
    """

    name: str
    renditions: Sequence[Rendition]
    text: str = ""


def write_page(
    path: str | os.PathLike[str],
    clips: Iterable[Clip],
    *,
    title: str,
    lead: str = "",
    measures: Sequence[Measure] = MEASURES,
    notes: Sequence[str] = (),
) -> list[str]:
    """Write a page; it appears complete or not at all.

    A page is bounded: of a sound the first MOST_SECONDS are played, and once MOST_BYTES are full,
    further clips count in the means and are not shown. Both are said on the page.

    Parameters
    ----------
    path
        Target, ``.html``.
    clips
        At least one. They are taken one at a time, so a generator holds one in memory.
    title, lead
        The heading, and a paragraph below it.
    measures
        What the figures are, in the order of the columns.
    notes
        Paragraphs below all clips: how figures are made.

    Returns
    -------
    list of str
        A sentence for each thing that the page had to leave out.

    Raises
    ------
    AudioError
        A sound is not mono, empty, or not finite.
    Error
        There is no clip, or one without sounds; a figure is no measure; the operating system
        refused the file.
    """
    with atomic_open(path) as stream:  # before the clips, which take long to make: it may fail
        page, left_out = _page(clips, title=title, lead=lead, measures=measures, notes=notes)
        stream.write(page.encode("utf-8"))
    return left_out


def _page(
    clips: Iterable[Clip],
    *,
    title: str,
    lead: str,
    measures: Sequence[Measure],
    notes: Sequence[str],
) -> tuple[str, list[str]]:
    """The document, and a sentence for each thing that it leaves out."""
    shown: list[str] = []
    size = total = cut = 0
    means = _Means(measures)
    for clip in clips:
        _check(clip, measures)
        total += 1
        means.add(clip)
        if shown and size >= MOST_BYTES:
            continue
        cut += any(len(r.samples) > int(MOST_SECONDS * r.rate) for r in clip.renditions)
        shown.append(_clip(clip, measures, number=total))
        size += len(shown[-1])
    if not shown:
        raise Error("cannot write a page: there is no clip to show")
    left_out = []
    if len(shown) < total:
        left_out.append(
            f"the first {len(shown)} of {total} clips are on the page, {size / 1e6:.0f} MB; the "
            f"means are of all {total}"
        )
    if cut:
        left_out.append(f"clips that are longer than {MOST_SECONDS:g} s are cut there: {cut}")
    body = [
        f"<header><h1>{_text(title)}</h1>",
        f"<p>{_text(lead)}</p>" if lead else "",
        *(f'<p class="left-out">Left out: {_text(sentence)}.</p>' for sentence in left_out),
        means.table(total),
        _KEYS,
        "</header><main>",
        *shown,
        "</main>",
        _footer(notes),
    ]
    return _document(title, "\n".join(part for part in body if part)), left_out


_KEYS = (
    '<p class="keys">Press <kbd>1</kbd> to <kbd>9</kbd> to switch between the systems of a clip '
    "while it plays, at the same place, and the <kbd>space bar</kbd> to pause. A click on a "
    "spectrogram plays from there.</p>"
)


def _check(clip: Clip, measures: Sequence[Measure]) -> None:
    if not clip.renditions:
        raise Error(f"the clip '{clip.name}' has no sounds")
    known = [measure.key for measure in measures]
    for one in clip.renditions:
        what = f"'{one.label}' of the clip '{clip.name}'"
        unknown = [key for key in one.figures if key not in known]
        if unknown:
            raise Error(f"{what}: '{unknown[0]}' is no measure; measures: {', '.join(known)}")
        if one.samples.ndim != 1 or one.samples.size == 0:
            raise AudioError(f"{what} has shape {one.samples.shape}; expected mono [samples]")
        if one.rate <= 0:
            raise AudioError(f"{what} has a rate of {one.rate} Hz")
        if not np.isfinite(one.samples).all():
            raise AudioError(f"{what} holds NaN or infinite samples")


# ---- a clip --------------------------------------------------------------------------------------


def _clip(clip: Clip, measures: Sequence[Measure], *, number: int) -> str:
    sounds = [audio.to_int16(r.samples[: int(MOST_SECONDS * r.rate)]) for r in clip.renditions]
    rates = [r.rate for r in clip.renditions]
    seconds = max(len(s) / rate for s, rate in zip(sounds, rates, strict=True))
    top = max(rates) / 2
    spectra = [
        picture.spectrum(s / 32768, rate, seconds=seconds, top=top)
        for s, rate in zip(sounds, rates, strict=True)
    ]
    loudest = max(float(spectrum.max()) for spectrum in spectra)
    figures = [
        _rendition(
            one,
            _uri("audio/flac", _flac(sound, one.rate)),
            _uri("image/png", picture.draw(spectrum, loudest)),
            measures,
            key=key,
            clip=clip.name,
            top=top,
            preload=(number - 1) * len(sounds) + key <= _PRELOADED,
        )
        for key, (one, sound, spectrum) in enumerate(
            zip(clip.renditions, sounds, spectra, strict=True), 1
        )
    ]
    heading = f"clip-{number}"
    return "\n".join(
        [
            f'<section aria-labelledby="{heading}" data-seconds="{seconds:.4f}">',
            f'<h2 id="{heading}"><bdi>{_text(clip.name)}</bdi></h2>',
            *([f'<p class="said"><bdi>{_text(clip.text)}</bdi></p>'] if clip.text else []),
            '<div class="systems">',
            *figures,
            "</div></section>",
        ]
    )


def _rendition(
    one: Rendition,
    sound: str,
    drawing: str,
    measures: Sequence[Measure],
    *,
    key: int,
    clip: str,
    top: float,
    preload: bool,
) -> str:
    label, where = _text(one.label), _text(clip)
    values = [
        f"<div><dt>{_text(m.label)}</dt><dd>{_value(one.figures[m.key], m, unit=True)}</dd></div>"
        for m in measures
        if m.key in one.figures
    ]
    return "\n".join(
        [
            "<figure>",
            f"<figcaption>{f'<kbd>{key}</kbd> ' if key < 10 else ''}<bdi>{label}</bdi>"
            f" <small>{one.rate / 1000:g} kHz</small></figcaption>",
            '<div class="picture">'
            f'<img src="{drawing}" width="{picture.COLUMNS}" height="{picture.ROWS}"'
            f' alt="Spectrogram of {label}, {where}, 0 to {top / 1000:.3g} kHz">'
            f'<span aria-hidden="true">{top / 1000:.3g} kHz</span><i></i></div>',
            f'<audio controls preload="{"metadata" if preload else "none"}"'
            f' aria-label="{label}, {where}" src="{sound}"></audio>',
            *([f"<dl>{''.join(values)}</dl>"] if values else []),
            *([f'<p class="note">{_text(one.note)}</p>'] if one.note else []),
            "</figure>",
        ]
    )


def _flac(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


# ---- figures -------------------------------------------------------------------------------------


class _Means:
    """The figures of every system over all clips."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures
        self._values: dict[tuple[str, bool], dict[str, list[float]]] = {}
        """By label, and whether it is a yardstick: a system may be called as one is."""

    def add(self, clip: Clip) -> None:
        for one in clip.renditions:
            if one.figures:
                found = self._values.setdefault((one.label, one.yardstick), {})
                for key, value in one.figures.items():
                    found.setdefault(key, []).extend([] if value is None else [value])

    def table(self, clips: int) -> str:
        """A row for each system that has figures; the best mean of a column is strong."""
        rows = {
            which: {key: fmean(values) for key, values in found.items() if values}
            for which, found in self._values.items()
        }
        shown = [m for m in self._measures if any(m.key in row for row in rows.values())]
        if not shown:
            return ""
        rivals = [row for (_, yardstick), row in rows.items() if not yardstick]
        best = {m.key: _best([row[m.key] for row in rivals if m.key in row], m) for m in shown}
        head = "".join(f'<th scope="col">{_heading(m)}</th>' for m in shown)
        lines = [
            f'<tr><th scope="row"><bdi>{_text(label)}</bdi></th>'
            + "".join(_cell(row.get(m.key), m, None if yardstick else best[m.key]) for m in shown)
            + "</tr>"
            for (label, yardstick), row in rows.items()
        ]
        said = [f"mean of {clips} clips"] if clips > 1 else []
        said += ["the best in bold"] if any(best.values()) else []
        caption = ", ".join(said) or "the figures"
        return "\n".join(
            [
                '<div class="wide" role="region" aria-label="Means" tabindex="0"><table>',
                f"<caption>{caption[0].upper()}{caption[1:]}</caption>",
                f'<thead><tr><th scope="col">system</th>{head}</tr></thead>',
                f"<tbody>{''.join(lines)}</tbody></table></div>",
            ]
        )


def _best(values: Sequence[float], measure: Measure) -> str | None:
    """The best as it is printed; None where nothing is better than another."""
    if measure.best is None or len(values) < 2:
        return None
    aim = measure.best
    return _value(min(values, key=lambda value: abs(value - aim)), measure)


def _heading(measure: Measure) -> str:
    unit = f" <small>{_text(measure.unit)}</small>" if measure.unit else ""
    return _text(measure.label) + unit


def _cell(value: float | None, measure: Measure, best: str | None) -> str:
    printed = _value(value, measure)
    return f"<td>{f'<strong>{printed}</strong>' if printed == best else printed}</td>"


def _value(value: float | None, measure: Measure, *, unit: bool = False) -> str:
    if value is None:
        return "–"
    after = f" {_text(measure.unit)}" if unit and measure.unit else ""
    number = round(value, measure.digits) + 0.0  # of -0.0 it makes 0.0
    return f"{number:.{measure.digits}f}{after}".replace("-", "\N{MINUS SIGN}")


# ---- the document --------------------------------------------------------------------------------


def _text(text: str) -> str:
    """Text for HTML, in attributes too; what cannot be shown or encoded becomes U+FFFD."""
    shown = (
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"
        else c
        for c in text
    )
    return html.escape("".join(shown))


def _footer(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return f"<footer>{''.join(f'<p>{_text(note)}</p>' for note in notes)}</footer>"


def _document(title: str, body: str) -> str:
    style, script = (
        Path(__file__).with_name(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    policy = (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{_text(title)}</title>",
            f"<style>{style}</style>",
            f"</head>\n<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def _hash(source: str) -> str:
    digest = hashlib.sha256(source.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
