"""How the site reads docstrings: an extension of griffe, which mkdocstrings reads sources with."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr|exc):`[~!]?([^`]+)`")
SESSION = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class PlainText(griffe.Extension):  # type: ignore[misc]
    """Roles become names; sessions that are in no section of examples become code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each thing that may have a docstring."""
        if obj.docstring is None or "```pycon" in obj.docstring.value:
            return
        text = ROLE.sub(r"`\1`", obj.docstring.value)
        if "Examples\n---" not in text:
            text = SESSION.sub(r"```pycon\n\g<0>\n```", text)
        obj.docstring.value = text

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """A package itself is none of its things."""
        self.on_object(obj=pkg)
