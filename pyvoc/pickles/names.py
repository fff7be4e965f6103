"""The globals that tensors and plain data are made of, and what stands in for each.

All others are `Class`: placeholders that keep the name. Some of those no checkpoint has any use
for: nothing would run, but the file is refused, as whoever made it meant harm to another reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyvoc.pickles.stubs import Call, Class, Inert, Name, Refused, fill
from pyvoc.pickles.tensors import (
    STORAGES,
    NumpyArray,
    NumpyType,
    numpy_scalar,
    rebuild_parameter,
    rebuild_tensor,
)

_BUILTINS = ("builtins", "__builtin__")
_HARMFUL_MODULES = {"os", "posix", "nt", "subprocess", "pty", "ctypes", "importlib", "runpy"}
_HARMFUL_BUILTINS = {"__import__", "eval", "exec", "compile", "open", "breakpoint"}
_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")


def _mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """``OrderedDict()``, or of a list of pairs (Python 2)."""
    found: dict[Any, Any] = {}
    pairs = arguments[0] if len(arguments) == 1 else []
    if len(arguments) > 1 or type(pairs) is not list:
        raise Refused("a dictionary is made of unexpected arguments")
    for pair in pairs:
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise Refused("a dictionary is made of something that is not pairs")
        fill(found, list(pair))
    return found


def _default_mapping(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """``defaultdict(kind)``: an ordinary dictionary."""
    if len(arguments) > 1 or any(type(a) not in (Call, Name, Class, Inert) for a in arguments):
        raise Refused("a defaultdict is made of unexpected arguments")
    return {}


def _sequence(arguments: tuple[Any, ...]) -> list[Any]:
    """``set([...])``, ``frozenset([...])`` and ``list([...])``: a list."""
    if len(arguments) > 1 or any(type(a) not in (list, tuple) for a in arguments):
        raise Refused("a set or a list is made of unexpected arguments")
    return list(arguments[0]) if arguments else []


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """``torch.Size((...))``."""
    if len(arguments) != 1 or type(arguments[0]) not in (list, tuple):
        raise Refused("a torch.Size is made of unexpected arguments")
    return tuple(arguments[0])


def _device(arguments: tuple[Any, ...]) -> str:
    """``torch.device(kind[, index])``: its text."""
    if not 1 <= len(arguments) <= 2 or any(type(a) not in (str, int) for a in arguments):
        raise Refused("a torch.device is made of unexpected arguments")
    return ":".join(str(a) for a in arguments)


def _latin1(arguments: tuple[Any, ...]) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 spells bytes."""
    if len(arguments) != 2 or type(arguments[0]) is not str or arguments[1] != "latin1":
        raise Refused("text is encoded in an unexpected way")
    try:
        return arguments[0].encode("latin-1")
    except UnicodeEncodeError:
        raise Refused("damaged pickle: bytes hold a value above 255") from None


def _empty_bytes(arguments: tuple[Any, ...]) -> bytes:
    """``bytes()``: how protocol 2 spells no bytes."""
    if arguments:
        raise Refused("bytes are made of unexpected arguments")
    return b""


def _no_backend(arguments: tuple[Any, ...]) -> None:
    """What modules pickled before PyTorch 1.4 mention as how they compute: nothing that we need."""
    if arguments:
        raise Refused("a module's backend is made of unexpected arguments")


def _table() -> dict[tuple[str, str], Any]:
    calls: dict[str, Callable[[tuple[Any, ...]], Any]] = {
        "collections OrderedDict": _mapping,
        "collections defaultdict": _default_mapping,
        "torch._utils _rebuild_tensor": rebuild_tensor,
        "torch._utils _rebuild_tensor_v2": rebuild_tensor,
        "torch._utils _rebuild_parameter": rebuild_parameter,
        "torch._utils _rebuild_parameter_with_state": rebuild_parameter,
        "torch.nn.parameter Parameter": rebuild_parameter,
        "torch.nn.backends.thnn _get_thnn_function_backend": _no_backend,
        "torch Size": _size,
        "torch device": _device,
        "_codecs encode": _latin1,
        "numpy dtype": NumpyType,
    }
    for builtins in _BUILTINS:
        calls[f"{builtins} dict"] = _mapping
        for name in ("list", "set", "frozenset"):
            calls[f"{builtins} {name}"] = _sequence
        calls[f"{builtins} bytes"] = _empty_bytes
    for core in ("numpy.core", "numpy._core"):
        calls[f"{core}.multiarray _reconstruct"] = NumpyArray
        calls[f"{core}.multiarray scalar"] = numpy_scalar
    table: dict[tuple[str, str], Any] = {}
    for key, function in calls.items():
        module, name = key.split(" ")
        table[module, name] = Call(f"{module}.{name}", function)
    for module in ("torch", "torch.cuda"):
        for name in STORAGES:
            table[module, name] = Name(f"torch.{name}")
    for name in _TYPES:
        table["torch", name] = Name(f"torch.{name}")
    table["numpy", "ndarray"] = Name("numpy.ndarray")
    return table


_ALLOWED = _table()


def lookup(module: str, name: str) -> Any:
    """What stands for a global; nothing is imported.

    Raises
    ------
    Refused
        It could only do harm.
    """
    found = _ALLOWED.get((module, name))
    if found is not None:
        return found
    text = f"{module}.{name}"
    text = text if len(text) <= 100 else text[:97] + "..."
    parts = {*module.split("."), *name.split(".")}
    if parts & _HARMFUL_MODULES or (module in _BUILTINS and parts & _HARMFUL_BUILTINS):
        raise Refused(f"the pickle mentions {text!a}, which is refused: it is not data")
    return Class(text)
