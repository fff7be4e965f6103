"""YAML as settings have it: what the safe loader takes silently and nobody means is refused."""

from __future__ import annotations

from typing import Any

from pyvoc.errors import Error

__all__ = ["documents", "read_value"]

_PLAIN_TAGS = ("object:argparse.Namespace", "tuple", "object/apply:pathlib.PosixPath")
_MAX_ALIASES = 1000


def documents(
    content: bytes | str, source: str, *, purpose: str, otherwise: str = "is no YAML"
) -> list[Any]:
    """What YAML says, document by document; empty ones are left out.

    Refused are a key that is given twice, and aliases that nest: an alias within what has an anchor
    itself. A few bytes of those can stand for more values than there is memory for, and for values
    without end.

    Parameters
    ----------
    content
        The text.
    source
        What messages begin with.
    purpose
        What PyYAML is needed for.
    otherwise
        What is said of anything else.

    Raises
    ------
    UnsupportedError
        PyYAML is not installed.
    Error
        It is no YAML, or refused.
    """
    from pyvoc.train.requirements import require

    yaml = require("yaml", purpose)

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined, misc]
        anchored = 0  # how many of the nodes that are being read have an anchor
        aliases = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent):
                self.aliases += 1
                if self.anchored or self.aliases > _MAX_ALIASES:
                    what = "nests" if self.anchored else "is one of more than a thousand"
                    raise Error(f"{source}: the alias '*{event.anchor[:40]}' {what}")
                return super().compose_node(parent, index)
            has = event.anchor is not None
            self.anchored += has
            node = super().compose_node(parent, index)
            self.anchored -= has
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise Error(f"{source}: '{key.value}' is given twice")
                if isinstance(key.value, str):
                    seen.add(key.value)
            return super().construct_mapping(node, deep=deep)

    def plain(loader: Any, node: Any) -> Any:
        if isinstance(node, yaml.MappingNode):
            return loader.construct_mapping(node, deep=True)
        return loader.construct_sequence(node, deep=True)

    for tag in _PLAIN_TAGS:
        Loader.add_constructor(f"tag:yaml.org,2002:python/{tag}", plain)
    try:
        return [d for d in yaml.load_all(content, Loader=Loader) if d is not None]
    except Error:
        raise
    except Exception as error:  # PyYAML raises whatever a value of a wrong form gives
        raise Error(f"{source}: {otherwise}: {str(error)[:400] or type(error).__name__}") from error


def read_value(text: str, source: str) -> Any:
    """One value of a flag; nothing is None.

    Raises
    ------
    Error
        As :func:`documents`, or more than one.
    """
    found = documents(text, source, purpose=source.split()[0], otherwise="the value is no YAML")
    if len(found) > 1:
        raise Error(f"{source}: is several values, expected one")
    return found[0] if found else None
