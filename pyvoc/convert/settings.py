"""What the user, a checkpoint and the files beside it say of a model's mels beyond its tensors.

Programs keep the same few numbers under a handful of names, in dictionaries, YAML, JSON and Python
files. They are read as text, whatever they are nested in; nothing is executed. What belongs to the
tensors (bands, hop) is compared with them, and nobody's word is taken against theirs.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyvoc.container.mel import MAX_FFT, MAX_RATE, RECIPES, MelRecipe
from pyvoc.errors import Error
from pyvoc.pickles.stubs import Inert

MAX_TEXT = 1 << 16
MAX_VISITED = 20_000
"""Entries of a checkpoint that are looked at for settings."""
_DEPTH = 5
_LINE = re.compile(r"\s*([A-Za-z_]\w{0,63})\s*[:=]\s*([^\s#'\",]{1,64})\s*,?\s*(?:#.*)?")
_BRACKETS = re.compile(
    r"(?m)^\s*[\"']?([A-Za-z_]\w{0,63})[\"']?\s*[:=]\s*([\[(][\[\](),\s\d]{1,999}[\])])"
)
_ITEMS = re.compile(
    r"(?m)^\s*([A-Za-z_]\w{0,63}):[ \t]*\n((?:\s*(?:- +){1,2}\d{1,9}[ \t]*(?:\n|$))+)"
)
_NOTHING = ("null", "None", "~")
_SPELLINGS = {
    "sample_rate": ("sampling_rate", "sample_rate", "samplerate", "sr", "fs"),
    "hop_length": ("hop_length", "hop_size", "hop_samples"),
    "window_length": ("win_length", "win_size", "window_length"),
    "fft_length": ("n_fft", "filter_length", "fft_size", "fft_length"),
    "bands": ("n_mel_channels", "num_mels", "n_mels", "num_mel_bins", "bands"),
    "fmin": ("mel_fmin", "fmin", "f_min"),
    "fmax": ("mel_fmax", "fmax", "f_max"),
}
"""A recipe's fields as programs call them."""
_BESIDE = (
    "config.json",
    "config.yaml",
    "config.yml",
    "hparams.yaml",
    "hparams.yml",
    "hparams.json",
    "hparams.py",
    "hyperparams.yaml",
    "args.yml",
)


@dataclass(frozen=True)
class Source:
    """One place that says something.

    Parameters
    ----------
    name
        For people.
    values
        Text by name, and by the name of the table around it, a dot, and the name.
    sure
        It speaks of this model and no other: the checkpoint itself, or what the user gave.
    who
        The beginning of a sentence about what it says.
    """

    name: str
    values: Mapping[str, str]
    sure: bool
    who: str = "its settings say"


@dataclass(frozen=True)
class Settings:
    """All that is said of a checkpoint, the word that counts most first.

    Parameters
    ----------
    sources
        Where.
    rate
        Hz, that the user gave.
    preset
        The recipe that the user gave by name.
    unread
        Files beside the checkpoint that are damaged.
    """

    sources: tuple[Source, ...] = ()
    rate: int | None = None
    preset: MelRecipe | None = None
    unread: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        tree: Any,
        path: Path,
        *,
        rate: int | None = None,
        recipe: str | os.PathLike[str] | None = None,
    ) -> Settings:
        """Read what there is.

        Parameters
        ----------
        tree
            The checkpoint's contents.
        path
            Its file; others are looked for beside it.
        rate
            Hz, that the user gave.
        recipe
            That the user gave: a preset's name, or a file of settings. With one of them, nothing
            else is asked.

        Raises
        ------
        Error
            The rate is none, or the recipe is neither a name nor a file of settings.
        """
        if rate is not None and not 1000 <= rate <= MAX_RATE:
            raise Error(f"rate is {rate}, expected 1000 to {MAX_RATE} Hz")
        if recipe is not None:
            preset = RECIPES.get(str(recipe).removeprefix("mel-"))
            return cls((), rate, preset) if preset else cls((_given(recipe),), rate)
        inside = Source("the checkpoint", _flat(tree), sure=True)
        beside = tuple(_beside(path))
        sources = tuple(s for s in (inside, *beside) if s.values)
        return cls(sources, rate, unread=tuple(s.name for s in beside if not s.values))

    def about(self, sizes: Mapping[str, int], *, bands: int | None = None) -> Settings:
        """Without the files beside the checkpoint that are another model's.

        Parameters
        ----------
        sizes
            Numbers of the tensors by upstream's names; a file that says others is left out.
        bands
            The same of the mel's bands; None: not compared.
        """
        facts = {} if bands is None else {"bands": bands}
        kept = tuple(s for s in self.sources if s.sure or not _differences(s, facts, sizes))
        return replace(self, sources=kept)

    def whole(self, name: str) -> int | None:
        """A whole number that the first source which has the name says, or None."""
        value = self.text(name)
        return None if value is None else whole({name: value}, name)

    def text(self, name: str) -> str | None:
        """What the first source that has the name says, as text, or None."""
        return next((s.values[name] for s in self.sources if name in s.values), None)

    def numbers(self, *names: str) -> Any | None:
        """A list of whole numbers, or of such lists, that the first source says; or None."""
        for source in self.sources:
            for name in names:
                text = source.values.get(name, "")
                if text.startswith("["):
                    return json.loads(text)
        return None

    def recipe(
        self,
        usual: MelRecipe,
        *,
        bands: int,
        hop: int,
        notes: list[str],
        problems: list[str],
        sizes: Mapping[str, int] | None = None,
        hops_per_window: int | None = None,
        hop_said: bool = False,
    ) -> tuple[MelRecipe, str]:
        """The recipe of a model's mels.

        Parameters
        ----------
        usual
            What its upstream does.
        bands, hop
            As its tensors have them.
        notes, problems
            Sentences are added.
        sizes
            Numbers of the tensors by upstream's names: a file beside the checkpoint that says
            others is another model's.
        hops_per_window
            Upstream's windows follow the hop.
        hop_said
            An unusual hop was explained to the user already, or needs no explanation.

        Returns
        -------
        recipe
            Called ``custom`` where its numbers are not `usual`'s.
        rate_from
            Where the rate is from; empty: nobody says it, and it is upstream's usual one.
        """
        base = usual if self.preset is None else self.preset
        notes += [f"{name} beside it is damaged, and was not read" for name in self.unread]
        facts = {"bands": bands, "hop_length": hop}
        found: dict[str, tuple[str, str]] = {}
        for source in self.sources:
            other = _differences(source, facts, {} if source.sure else sizes or {})
            if not other:
                for field, value in _fields(source.values).items():
                    found.setdefault(field, (value, source.name))
            elif source.sure:
                problems += [text for text in other if text not in problems]
            else:
                notes.append(f"{source.name} belongs to another model: {other[0]}")
        rate, where = found.get("sample_rate", ("null", ""))
        if self.rate is None and rate not in _NOTHING and not whole({"": rate}, ""):
            problems.append(f"{where} says a sample rate of {rate} Hz, expected a whole number")
        recipe = self._numbers(base, bands, hop, found, notes, hops_per_window, hop_said)
        named = next((r for r in (usual, base) if recipe.same_numbers(r)), None)
        recipe = replace(recipe, name=named.name if named else "custom")
        return recipe, self._rate_from(found, notes)

    def _numbers(
        self,
        base: MelRecipe,
        bands: int,
        hop: int,
        found: Mapping[str, tuple[str, str]],
        notes: list[str],
        hops_per_window: int | None,
        hop_said: bool,
    ) -> MelRecipe:
        said = {field: value for field, (value, _) in found.items()}
        recipe = replace(base, bands=bands, hop_length=hop)
        rate = self.rate or whole(said, "sample_rate") or base.sample_rate
        window, fft = whole(said, "window_length"), whole(said, "fft_length")
        if hop != base.hop_length and window is None and hops_per_window is not None:
            recipe = replace(recipe, window_length=hops_per_window * hop)
        if window is not None:
            recipe = replace(recipe, window_length=window)
        if fft is not None and not fft & (fft - 1):
            recipe = replace(recipe, fft_length=fft)
        elif fft is not None:
            notes.append(
                f"{found['fft_length'][1]} says transforms of {fft} points; pyvoc computes powers "
                "of two, so that mels that it makes of audio differ a little from the training's"
            )
        while recipe.fft_length < recipe.window_length <= MAX_FFT:
            recipe = replace(recipe, fft_length=2 * recipe.fft_length)
        if not (hop_said or hop == base.hop_length or "hop_length" in found):
            with_window = f" and a window of {recipe.window_length}" if hops_per_window else ""
            notes.append(
                f"the hop is {hop} samples: the mel recipe of {base.name} with it{with_window} is "
                "assumed"
            )
        centred = base.pad == base.fft_length // 2
        pad = recipe.fft_length // 2 if centred else (recipe.fft_length - hop) // 2
        to_the_top = base.fmax == base.sample_rate / 2 or said.get("fmax") in _NOTHING
        fmax, fmin = number(said, "fmax"), number(said, "fmin")
        if fmax is None:
            fmax = rate / 2 if to_the_top else min(base.fmax, rate / 2)
        fmin = base.fmin if fmin is None else fmin
        return replace(recipe, sample_rate=rate, pad=max(pad, 0), fmin=fmin, fmax=fmax)

    def _rate_from(self, found: Mapping[str, tuple[str, str]], notes: list[str]) -> str:
        said, where = found.get("sample_rate", ("", ""))
        if self.rate is None:
            return where if where or self.preset is None else f"the recipe {self.preset.name}"
        if where and whole({"": said}, "") != self.rate:
            notes.append(f"{where} says {said} Hz; the given rate of {self.rate} Hz is taken")
        return "the given rate"


NO_SETTINGS = Settings()


def scalars(text: str) -> dict[str, str]:
    """The ``name: value`` and ``name = value`` lines of a text; the first of a name counts.

    Parameters
    ----------
    text
        YAML or Python, one entry per line, nested in anything. Longer than 64 kB is cut off.
    """
    found: dict[str, str] = {}
    for line in text[:MAX_TEXT].splitlines():
        match = _LINE.fullmatch(line)
        if match and not match[2].startswith("["):
            found.setdefault(match[1], match[2])
    return _lists(text[:MAX_TEXT]) | found


def _lists(text: str) -> dict[str, str]:
    """Lists of whole numbers, and lists of those, in brackets or item by item, as JSON."""
    found: dict[str, str] = {}
    for match in _BRACKETS.finditer(text):
        values = re.sub(r",(\s*\])", r"\1", match[2].replace("(", "[").replace(")", "]"))
        with contextlib.suppress(ValueError, RecursionError):
            found.setdefault(match[1], _listed(json.loads(values)) or "")
    for match in _ITEMS.finditer(text):
        items: list[Any] = []
        for dashes, value in re.findall(r"((?:- +)+)(\d{1,9})", match[2]):
            if dashes.count("-") > 1:
                items.append([int(value)])
            elif items and isinstance(items[-1], list):
                items[-1].append(int(value))
            else:
                items.append(int(value))
        found.setdefault(match[1], _listed(items) or "")
    return {name: value for name, value in found.items() if value}


def _listed(values: Any) -> str | None:
    """A list of whole numbers, or of such lists, as JSON; None where a value is something else."""
    if type(values) not in (list, tuple) or not 0 < len(values) <= 64:
        return None
    inner = [
        value if type(value) is int and abs(value) < 1 << 30 else _listed(value) for value in values
    ]
    if None in inner:
        return None
    nested = [type(value) is str for value in inner]
    if any(nested) and not all(nested):
        return None
    return "[" + ", ".join(str(value) for value in inner) + "]"


def number(settings: Mapping[str, str], name: str) -> float | None:
    """A setting as a finite number; None where it is absent or something else (``null``)."""
    try:
        value = float(settings.get(name, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole(settings: Mapping[str, str], name: str) -> int | None:
    """A setting as a whole number; None where it is absent or something else."""
    value = number(settings, name)
    return int(value) if value is not None and value == int(value) else None


def _fields(values: Mapping[str, str]) -> dict[str, str]:
    """A recipe's fields among settings, as text."""
    found = {}
    for field, names in _SPELLINGS.items():
        text = next((values[name] for name in names if name in values), None)
        if text is not None and (text in _NOTHING or number({"": text}, "") is not None):
            found[field] = text
    return found


def _differences(source: Source, facts: Mapping[str, int], sizes: Mapping[str, int]) -> list[str]:
    """Where a source contradicts the tensors."""
    expected = {_SPELLINGS[field]: n for field, n in facts.items()}
    expected |= {(name,): n for name, n in sizes.items()}
    found = []
    for names, size in expected.items():
        said = {name: n for name in names if (n := number(source.values, name)) is not None}
        if said and size not in said.values():
            name, value = next(iter(said.items()))
            name = name.rpartition(".")[2]
            found.append(f"{source.who} {name} {value:g}, but its tensors {size}")
    return found


def _flat(tree: Any) -> dict[str, str]:
    """The scalars of a checkpoint's dictionaries as text, the outermost of a name first."""
    found: dict[str, str] = {}
    left = MAX_VISITED
    seen: set[int] = set()
    level: list[tuple[str, Any]] = [("", tree)]
    for _ in range(_DEPTH):
        inner: list[tuple[str, Any]] = []
        for table_name, value in level:
            table = value.state if type(value) is Inert else value
            if type(table) is not dict or id(table) in seen:
                continue
            seen.add(id(table))
            for name, item in table.items():
                left -= 1
                if left < 0:
                    return found
                if type(name) is not str or len(name) > 64:
                    continue
                if type(item) in (dict, Inert):
                    inner.append((name, item))
                elif type(item) in (list, tuple):
                    if text := _listed(item):
                        found.setdefault(name, text)
                elif type(item) is str and "\n" in item:
                    left -= len(item[:MAX_TEXT]) // 64
                    found = scalars(item) | found
                elif type(item) in (int, float, bool, str, type(None)):
                    text = str(item)[:64] if type(item) is not int or abs(item) < 1 << 99 else "inf"
                    found.setdefault(name, text)
                    found.setdefault(f"{table_name}.{name}", text)
        level = inner
    return found


def _read(path: Path) -> dict[str, str] | None:
    """The scalars of a settings file; None where there is none that could be read."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_TEXT).decode("utf-8", "replace")
    except OSError:
        return None
    if path.suffix.lower() == ".json":
        try:
            return _flat(json.loads(text))
        except (ValueError, RecursionError):
            return {}  # damaged
    return scalars(text)


def _beside(path: Path) -> Iterator[Source]:
    """Settings files that lie where programs put them, the nearest to the checkpoint's name first.

    ``small_config.json`` belongs to ``small_weights.pt``; Lightning's ``hparams.yaml`` lies above
    its folder ``checkpoints``.
    """
    ends = [m.end() for m in re.finditer(r"[_.-]", path.name)][:16]
    names = [f"{path.name}.json", *(f"{path.stem}{end}" for end in (".json", ".yaml", ".yml"))]
    names += [path.name[:end] + name for end in reversed(ends) for name in _BESIDE]
    places = [path.with_name(name) for name in (*names, *_BESIDE)]
    if path.parent.name == "checkpoints":
        places.append(path.parent.parent / "hparams.yaml")
    for place in dict.fromkeys(places):
        values = _read(place)
        if values or (values is not None and place.suffix == ".json"):
            yield Source(place.name, values, sure=False)


def _given(path: str | os.PathLike[str]) -> Source:
    """The settings file that the user gave."""
    values = _read(Path(path))
    if values is None:
        names = ", ".join(RECIPES)
        raise Error(f"recipe '{path}' is neither a file that can be read nor one of {names}")
    if not _fields(values):
        names = ", ".join(spellings[0] for spellings in _SPELLINGS.values())
        raise Error(f"recipe '{path}' holds none of a mel recipe's settings ({names})")
    return Source(str(path), values, sure=True, who=f"the recipe '{path}' says")
