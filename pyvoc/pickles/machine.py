"""Pickle's language, cut down to data: a stack machine that knows no import and no call.

Values are Python's plain ones and our stubs. Protocols 2 to 5; the text opcodes of protocol 0 and
1, the extension registry and out-of-band buffers are refused by name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pickletools import opcodes
from typing import Any, NoReturn

from pyvoc.errors import ModelError
from pyvoc.pickles.stubs import (
    Buildable,
    Call,
    Class,
    Inert,
    Refused,
    describe,
    fill,
    made_by,
)

MAX_STEPS = 1_000_000
MAX_MEMO = 300_000
MAX_MARKS = 1000
MAX_INTEGER_BYTES = 64
MAX_GLOBAL = 512

Lookup = Callable[[str, str], Any]


class Machine:
    """One run over bytes that may hold several pickles.

    Parameters
    ----------
    data
        The bytes.
    source
        Names the file in errors.
    lookup
        The stub for a module and a name; raises `Refused`.
    persistent
        The value of a persistent id; raises `Refused`.
    """

    def __init__(
        self,
        data: bytes,
        source: str,
        *,
        lookup: Lookup,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.data = data
        self.at = 0
        self._source = source
        self._lookup = lookup
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._steps = 0

    def fail(self, what: str) -> NoReturn:
        """Raise a `ModelError` that names the file."""
        raise ModelError(f"{self._source}: {what}")

    def run(self) -> Any:
        """Interpret one pickle; `at` is then behind it.

        Raises
        ------
        ModelError
            Damaged, or beyond what data needs.
        """
        self._stack, self._marks, self._memo = [], [], {}
        while True:
            code = self._take(1)[0]
            if code == 0x2E:  # STOP
                return self._pop()
            action = _ACTIONS.get(code)
            if action is None:
                what = next((f"opcode {o.name}" for o in opcodes if o.code == chr(code)), "")
                what = what or f"byte {code:#04x}"
                self.fail(f"the pickle's {what} is refused: data has no need of it")
            try:
                self._charge(1)
                action(self)
            except Refused as error:
                self.fail(str(error))

    def _charge(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise Refused(f"the pickle has more than {MAX_STEPS} steps")

    def _take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            self.fail(f"truncated: the pickle asks for {size} bytes and has fewer")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def _number(self, format: str) -> int:
        value: int = struct.unpack(format, self._take(struct.calcsize(format)))[0]
        return value

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _damaged()
        return self._stack.pop()

    def _top(self, kind: type) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise _damaged()
        if type(self._stack[-1]) is not kind:
            raise Refused(
                f"damaged pickle: {describe(self._stack[-1])} where a {kind.__name__} should be"
            )
        return self._stack[-1]

    def _items(self) -> list[Any]:
        if not self._marks:
            raise _damaged()
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _text(self, size: int) -> None:
        try:
            self._stack.append(self._take(size).decode("utf-8"))
        except UnicodeDecodeError:
            raise Refused("damaged pickle: a string is not UTF-8") from None

    def _mark(self) -> None:
        if len(self._marks) >= MAX_MARKS:
            raise Refused(f"the pickle is nested deeper than {MAX_MARKS}")
        self._marks.append(len(self._stack))

    def _pop_any(self) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _put(self, index: int) -> None:
        if not self._stack or (self._marks and self._marks[-1] >= len(self._stack)):
            raise _damaged()
        if len(self._memo) >= MAX_MEMO:
            raise Refused(f"the pickle memorises more than {MAX_MEMO} values")
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise Refused(f"damaged pickle: it recalls value {index}, which it never memorised")
        self._stack.append(self._memo[index])

    def _proto(self) -> None:
        version = self._number("<B")
        if not 2 <= version <= 5:
            raise Refused(f"the pickle has protocol {version}, expected 2 to 5")

    def _frame(self) -> None:
        size = self._number("<Q")
        if size > len(self.data) - self.at:
            raise Refused(f"truncated: a frame of {size} bytes is longer than the pickle")

    def _long(self, format: str) -> None:
        size = self._number(format)
        if not 0 <= size <= MAX_INTEGER_BYTES:
            raise Refused(f"an integer of {size} bytes is longer than {MAX_INTEGER_BYTES}")
        self._stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def _float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _tuple(self, size: int) -> None:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) - floor < size:
            raise _damaged()
        items = tuple(self._stack[len(self._stack) - size :])
        del self._stack[len(self._stack) - size :]
        self._stack.append(items)

    def _extend(self, items: list[Any]) -> None:
        if not self._is_inert():  # the items of a deque, say: nothing that we need
            self._top(list).extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top(Inert).state if self._is_inert() else self._top(dict)
        fill(target, items)

    def _is_inert(self) -> bool:
        return bool(self._stack) and type(self._stack[-1]) is Inert

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _dict(self) -> None:
        found: dict[Any, Any] = {}
        fill(found, self._items())
        self._stack.append(found)

    def _global(self) -> None:
        lines = []
        for _ in range(2):
            end = self.data.find(b"\n", self.at, self.at + MAX_GLOBAL)
            if end < 0:
                raise Refused("damaged pickle: a global's name does not end")
            lines.append(self.data[self.at : end].decode("utf-8", "replace"))
            self.at = end + 1
        self._stack.append(self._lookup(lines[0], lines[1]))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise Refused("damaged pickle: a global's name is not text")
        if len(module) + len(name) > 2 * MAX_GLOBAL:
            raise Refused(f"a global's name is longer than {2 * MAX_GLOBAL}")
        self._stack.append(self._lookup(module, name))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is Inert:  # a class or function that was got by a call
            function = Class(function.kind)
        if type(function) not in (Call, Class):
            raise Refused(f"the pickle calls {describe(function)}, which is refused")
        if type(arguments) is not tuple:
            raise Refused(f"damaged pickle: {function.text} is called with no tuple of arguments")
        if type(function) is Class:
            self._stack.append(made_by(function, arguments))
            return
        # Arguments may be copied, and be the same ones every time.
        self._charge(sum(len(a) for a in arguments if type(a) in (list, tuple, dict)))
        self._charge(sum(len(a) for a in arguments if type(a) in (str, bytes)) // 64)
        self._stack.append(function.apply(arguments))

    def _new_object(self) -> None:
        arguments, kind = self._pop(), self._pop()
        if type(kind) is not Class:
            raise Refused(f"the pickle makes an instance of {describe(kind)}, which is refused")
        if type(arguments) is not tuple:
            raise Refused(f"damaged pickle: an instance of {kind.text} is made of no tuple")
        self._stack.append(Inert(kind.text, source=kind.source))

    def _new_object_with_names(self) -> None:
        self._top(dict)
        self._pop()
        self._new_object()

    def _build(self) -> None:
        state = self._pop()
        if not self._stack:
            raise _damaged()
        target = self._stack[-1]
        if type(target) is dict:  # attributes of an OrderedDict: nothing that we need
            return
        if type(target) is Inert:
            # Attributes are a dict, or that and a dict of slots; what else a state may be is the
            # class's own affair.
            for part in state if type(state) is tuple and len(state) == 2 else (state,):
                if type(part) is dict:
                    self._charge(len(part))
                    target.state.update(part)
            return
        if not isinstance(target, Buildable):
            raise Refused(f"the pickle sets the state of {describe(target)}, which is refused")
        target.build(state)

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise Refused("the pickle has a persistent id, which is refused here")
        self._stack.append(self._persistent(self._pop()))


def _damaged() -> Refused:
    return Refused("damaged pickle: a value is missing on its stack")


def _push(value: Callable[[], Any]) -> Callable[[Machine], None]:
    def action(machine: Machine) -> None:
        machine._stack.append(value())

    return action


def _sized(format: str, take: Callable[[Machine, int], None]) -> Callable[[Machine], None]:
    def action(machine: Machine) -> None:
        size = machine._number(format)
        if size < 0:
            raise Refused("damaged pickle: a negative length")
        take(machine, size)

    return action


def _old_string(machine: Machine, size: int) -> None:
    machine._stack.append(machine._take(size).decode("latin-1"))


def _bytes(machine: Machine, size: int) -> None:
    machine._stack.append(machine._take(size))


_ACTIONS: dict[int, Callable[[Machine], None]] = {
    0x80: Machine._proto,
    0x95: Machine._frame,
    ord("("): Machine._mark,
    ord("0"): Machine._pop_any,
    ord("1"): lambda m: m._items().clear(),
    ord("N"): _push(lambda: None),
    0x88: _push(lambda: True),
    0x89: _push(lambda: False),
    ord("J"): lambda m: m._stack.append(m._number("<i")),
    ord("K"): lambda m: m._stack.append(m._number("<B")),
    ord("M"): lambda m: m._stack.append(m._number("<H")),
    0x8A: lambda m: m._long("<B"),
    0x8B: lambda m: m._long("<i"),
    ord("G"): Machine._float,
    ord("X"): _sized("<I", Machine._text),
    0x8C: _sized("<B", Machine._text),
    0x8D: _sized("<Q", Machine._text),
    ord("T"): _sized("<i", _old_string),
    ord("U"): _sized("<B", _old_string),
    ord("B"): _sized("<I", _bytes),
    ord("C"): _sized("<B", _bytes),
    0x8E: _sized("<Q", _bytes),
    0x96: _sized("<Q", _bytes),
    ord("]"): _push(list),
    ord("a"): lambda m: m._extend([m._pop()]),
    ord("e"): lambda m: m._extend(m._items()),
    ord("l"): lambda m: m._stack.append(m._items()),
    ord(")"): _push(tuple),
    ord("t"): lambda m: m._stack.append(tuple(m._items())),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("}"): _push(dict),
    ord("d"): Machine._dict,
    ord("s"): Machine._set_item,
    ord("u"): lambda m: m._set_items(m._items()),
    0x8F: _push(list),  # sets are lists here
    0x90: lambda m: m._extend(m._items()),
    0x91: lambda m: m._stack.append(m._items()),
    ord("h"): lambda m: m._get(m._number("<B")),
    ord("j"): lambda m: m._get(m._number("<I")),
    ord("q"): lambda m: m._put(m._number("<B")),
    ord("r"): lambda m: m._put(m._number("<I")),
    0x94: lambda m: m._put(len(m._memo)),
    ord("c"): Machine._global,
    0x93: Machine._stack_global,
    ord("R"): Machine._reduce,
    0x81: Machine._new_object,
    0x92: Machine._new_object_with_names,
    ord("b"): Machine._build,
    ord("Q"): Machine._persistent_id,
}
