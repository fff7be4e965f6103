"""What a benchmark's cases share: the options, the cores, the folder of inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pyvoc.bench.process import job
from pyvoc.bench.report import Machine, Result
from pyvoc.container.layout import PRECISIONS
from pyvoc.errors import OptionError


@dataclass(frozen=True)
class Options:
    """What to measure.

    Parameters
    ----------
    targets
        Names of `pyvoc.bench.runner.targets`.
    model
        A model file; None makes seeded ones of the usual size.
    precisions
        Of the seeded models.
    seconds
        Audio per round and stream.
    repeats
        Rounds.
    core
        The logical processor to use (the first of `threads`); None takes the last ones allowed.
    streams
        LPCNet, FARGAN, WaveRNN: numbers of streams to run in lockstep; empty: the usual ones.
    threads
        LPCNet, FARGAN: threads, each on `streams` streams of its own. MelGAN, WaveGlow, WaveRNN:
        threads that share a stream (or the lockstep), and the peers' threads.
    peer_int8, peer_f32
        Upstream's program (lpcnet_demo, fargan_demo) of an int8 and of a float build.
    c_example
        The binary of examples/c, to see its memory.
    peers
        MelGAN, WaveGlow, WaveRNN: measure the runtimes that are installed.
    against
        Of them only these: names of runtimes, or ``name:precision``; empty: all.
    batches
        MelGAN, WaveGlow: numbers of utterances to hand over together, besides.
    """

    targets: tuple[str, ...]
    model: Path | None = None
    precisions: tuple[str, ...] = PRECISIONS
    seconds: float = 5.0
    repeats: int = 9
    core: int | None = None
    streams: tuple[int, ...] = ()
    threads: int = 1
    peer_int8: Path | None = None
    peer_f32: Path | None = None
    c_example: Path | None = None
    peers: bool = False
    against: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()

    def peers_among(self, known: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of a case's peers, by name and precision, that are to be measured.

        Raises
        ------
        OptionError
            `against` names one that the case does not know.
        """
        spelled = {(name, p): {name, f"{name}:{p}"} for name, p in known}
        for wanted in self.against:
            if not any(wanted in names for names in spelled.values()):
                listed = ", ".join(f"{name}:{p}" for name, p in known)
                raise OptionError(f"'{wanted}' is no peer of {self.targets[0]}: {listed}")
        if not self.peers:
            return []
        return [p for p, names in spelled.items() if not self.against or names & {*self.against}]


@dataclass(frozen=True)
class Session:
    """One run of a benchmark.

    Parameters
    ----------
    options
        What to measure.
    cores
        As many logical processors as threads.
    folder
        For inputs; gone after the run.
    say
        Called with a line before each step.
    """

    options: Options
    cores: list[int]
    folder: Path
    say: Callable[[str], None]

    def job(self, kind: str, *, all_cores: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run a function in a child process on one core, or on all of the session's."""
        return job(kind, self.cores if all_cores else self.cores[:1], **arguments)


class Case(Protocol):
    """Something that can be measured; made with the session."""

    def prepare(self) -> None:
        """Write the inputs; refuse what cannot be measured, before anything is."""

    def measure(self, machine: Machine) -> list[Result]:
        """Measure."""


def megabytes(count: int | None) -> float | None:
    """10^6 bytes."""
    return None if count is None else count / 1e6
