"""The families' own options on the command line, made from their declarations."""

from __future__ import annotations

import argparse
from typing import Any

from pyvoc import families
from pyvoc.errors import Error
from pyvoc.families import Option
from pyvoc.families.family import Command

__all__ = ["add_options", "given"]


def add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    """Add every family's options of a command, in a group for each family.

    An option that several families have stands with the first of them; its help names the others.
    """
    owners: dict[str, list[str]] = {}
    for family, option in families.options_for(command):
        owners.setdefault(option.name, []).append(family.title)
    groups: dict[str, Any] = {}
    for family, option in families.options_for(command):
        if owners[option.name][0] != family.title:
            continue
        if family.title not in groups:
            groups[family.title] = parser.add_argument_group(f"of {family.title}")
        also = owners[option.name][1:]
        text = option.help + (f" ({', '.join(also)} too)" if also else "")
        _add(groups[family.title], option, text)


def _add(group: Any, option: Option, text: str) -> None:
    text = text.replace("%", "%%")
    if option.kind is bool:
        group.add_argument(option.flag, action="store_true", help=text)
    elif option.choices:
        group.add_argument(
            option.flag, choices=("auto", *option.choices), default="auto", help=text
        )
    else:
        group.add_argument(option.flag, type=_parse(option), metavar=option.metavar, help=text)


def _parse(option: Option) -> Any:
    def parse(text: str) -> Any:
        try:
            numbers = tuple(option.kind(word) for word in text.split(","))
            if option.count == 1 and len(numbers) == 1:
                return numbers[0]
            return option.checked(numbers)
        except (ValueError, Error):
            like = f" ({option.example})" if option.example else ""
            raise argparse.ArgumentTypeError(f"'{text}' is not {option.metavar}{like}") from None

    return parse


def given(args: argparse.Namespace, command: Command) -> dict[str, Any]:
    """The families' options that were given, by name."""
    names = {option.name: option for _, option in families.options_for(command)}
    values = {name: getattr(args, name) for name in names}
    # 0 is a value, though it equals False.
    return {k: v for k, v in values.items() if not (v is None or v is False or v == "auto")}
