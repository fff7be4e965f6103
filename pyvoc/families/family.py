"""The record of a model family: the one place that says what the house may ask of it.

A record is light: it names modules and attributes of its package, which are imported when they are
asked for. So `pyvoc synth --help` can show every family's options without loading any of them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pyvoc.errors import Error

Command = Literal["synth", "convert"]


@dataclass(frozen=True)
class Option:
    """Something that a caller may tell one family and not the others.

    Parameters
    ----------
    name
        Of the keyword in Python; on the command line with dashes.
    help
        A sentence for the command line and the docs.
    kind
        ``float``, ``int``, ``bool`` (a flag) or ``str`` (one of `choices`).
    count
        How many numbers: several are a tuple in Python and stand with commas on the command line.
    low, high
        Of a number.
    choices
        Of a string.
    metavar, example
        On the command line: the form, and a value.
    form
        Of several numbers in Python, for messages; of one, where its range needs other words.
    command
        Which takes it: ``synth`` (also streams, where `streams`) or ``convert``.
    streams
        Whether a stream can take it, which does not know where an utterance ends.
    """

    name: str
    help: str
    kind: type = str
    count: int = 1
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    metavar: str = ""
    example: str = ""
    form: str = ""
    command: Command = "synth"
    streams: bool = True

    @property
    def flag(self) -> str:
        """As the command line spells it."""
        return "--" + self.name.replace("_", "-")

    @property
    def unset(self) -> Any:
        """What stands for an option that was not given."""
        return False if self.kind is bool else None

    def checked(self, value: Any) -> Any:
        """A value in the option's own type.

        Raises
        ------
        Error
            It is of another type, or out of range.
        """
        if self.kind is bool:
            return bool(value)
        if self.choices:
            if value not in self.choices:
                raise Error(
                    f"option {self.name} is '{value}', expected {' or '.join(self.choices)}"
                )
            return value
        many = self.count > 1
        numbers = _numbers(value if many else (value,), self.kind)
        if numbers is None or len(numbers) != self.count or not all(map(self._fits, numbers)):
            if many:
                raise Error(f"expected {self.name} as {self.form}, got {value!r}")
            what = "a whole number" if self.kind is int else "a number"
            allowed = self.form or f"{what} from {self.low:g} to {self.high:g}"
            raise Error(f"{self.name} is {value}, expected {allowed}")
        return numbers if many else numbers[0]

    def _fits(self, number: float) -> bool:
        return self.low <= number <= self.high  # False for NaN


def _numbers(values: Any, kind: type) -> tuple[Any, ...] | None:
    """Values as `kind`, or None where they are something else."""
    try:
        found = tuple(kind(value) for value in values)
        same = not any(isinstance(value, str | bytes) for value in values) and all(
            number == value or math.isnan(number)
            for number, value in zip(found, values, strict=True)
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return found if same else None


COMB = Option(
    "comb",
    "put a comb at the pitch behind the model, which makes a voice that is drawn sample by sample "
    "less hoarse: 0 (none) to 1 (much); 0.6 is what the bundled ones have",
    kind=float,
    low=0.0,
    high=1.0,
    metavar="STRENGTH",
    example="0.6",
    form="a strength from 0 to 1, such as 0.6",
    command="convert",
)
"""Of families that draw their samples."""


@dataclass(frozen=True)
class TrainFlag:
    """A flag of an upstream's trainer, which `pyvoc train` takes for this family by that name.

    Parameters
    ----------
    name
        With underscores; taken with dashes too.
    key
        The setting that it is (`pyvoc.train.TrainConfig`; ``model.sigma``), or ``config``.
    instead
        Where it is none: what does that here.
    """

    name: str
    key: str = ""
    instead: str = ""


@dataclass(frozen=True)
class FileFormat:
    """A file of one upstream program that is recognised by how it begins.

    Parameters
    ----------
    magic
        The first bytes; empty: `holds` alone tells, also of a folder.
    what
        For people: ``a Keras HDF5 checkpoint``.
    reader
        ``module:function`` of the family: path -> `pyvoc.convert.Checkpoint`.
    holds
        Where files of several families begin alike: ``module:function``, path -> whether it is this
        family's. None: it is, if it is no other's.
    """

    magic: bytes
    what: str
    reader: str
    holds: str | None = None


@dataclass(frozen=True)
class Family:
    """A model family.

    What is written ``module:attribute`` lies below the family's package; None: the family has no
    such thing.

    Parameters
    ----------
    name
        Of the package, of ``--arch``, and of the architecture in model files after ``pyvoc.``.
    title
        For people.
    spec
        The layout contract, a `pyvoc.container.ModelSpec`.
    checkpoints
        For people: what `pyvoc convert` reads.
    files
        Checkpoints in formats of their own.
    tensors
        A `pyvoc.convert.tensors.NamedTensors`: checkpoints that are named tensors.
    container
        A `pyvoc.convert.tensors.Container`: named tensors as only this family's programs keep them.
    options
        What a caller may tell this family only.
    draws
        For people: what `draws` are; empty: it takes none.
    noise_channels
        Of a family that starts from noise: description of a model -> channels of each draw.
    report
        What a precision costs: a `pyvoc.quant.reports.Compare`. None: two models' audio is
        compared.
    calibrated
        Whether int8 needs `pyvoc quantize`.
    network
        The network in PyTorch, a class with ``from_arrays(arrays, metadata)``, for a valid model
        file's, and ``to_arrays()``; ``infer`` of one from mel to audio is what synthesis computes.
    trainer
        ``build(config) -> (Task, Data)`` for `pyvoc.train`.
    training
        Settings of a run (`pyvoc.train.TrainConfig`) whose defaults are others for this family.
    recipes
        Settings files of upstream trainers: ``translate(settings, path) -> settings | None``, to
        ours; None where the file is none of theirs.
    train_flags
        Flags of upstream trainers.
    exporter
        A `pyvoc.export.registry.Exporter`.
    not_exported
        Where there is none, why.
    likelihood
        A `pyvoc.evaluate.nll_report.Scorer`.
    benchmarks
        Name of what is measured -> the class that measures (`pyvoc.bench.session.Case`).
    package
        Where the modules are; None: the package of that name below `pyvoc.families`.
    """

    name: str
    title: str
    spec: str
    checkpoints: str
    files: tuple[FileFormat, ...] = ()
    tensors: str | None = None
    container: str | None = None
    options: tuple[Option, ...] = ()
    draws: str = "uniform draws in 0..1"
    noise_channels: str | None = None
    report: str | None = None
    calibrated: bool = False
    network: str | None = None
    trainer: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    recipes: str | None = None
    train_flags: tuple[TrainFlag, ...] = ()
    exporter: str | None = None
    not_exported: str = ""
    likelihood: str | None = None
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    package: str | None = None

    @property
    def architecture(self) -> str:
        """As model files have it in ``general.architecture``."""
        return f"pyvoc.{self.name}"

    def resolve(self, reference: str) -> Any:
        """What ``module:attribute`` stands for; imports the module."""
        module, _, attribute = reference.partition(":")
        package = f"pyvoc.families.{self.name}" if self.package is None else self.package
        return getattr(importlib.import_module(f"{package}.{module}".lstrip(".")), attribute)

    def option(self, name: str, command: Command) -> Option | None:
        """The option of that name that a command takes, or None."""
        return next((o for o in self.options if o.name == name and o.command == command), None)
