#!/usr/bin/env python3
"""Make training speech with flite: OUT/<voice>/<number>.wav, 16 kHz mono, one process per sentence.

The sentences are those of ``sentences.txt`` beside this file and, for volume, of any plain text
given with ``--text`` (cut into sentences of 40 to 150 characters). Which sentence a voice reads,
how fast and how high, is drawn from ``--seed``, the voice's name and the sentence's number alone:
the same command makes the same files, and a second run makes only what is missing. (After a change
to the sentences, start with an empty folder: files are known by their sentence's number.)

Needs flite (Debian: ``apt-get install flite``); Python's standard library is enough.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import re
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

RATE = 16000  # Hz, what the vocoder is trained at
SHORTEST, LONGEST = 40, 150  # characters of a sentence


@dataclasses.dataclass(frozen=True)
class Voice:
    """A flite voice and how much it reads; `minutes` None means every sentence once."""

    name: str
    minutes: float | None
    vary: bool  # draw tempo and pitch per sentence; off for the voice that only measures


# kal16 is never trained on: it is the unseen speaker of the gates.
VOICES = (
    Voice("slt", None, vary=True),
    Voice("rms", 8.0, vary=True),
    Voice("awb", 8.0, vary=True),
    Voice("kal16", 1.0, vary=False),
)


class SpeechError(Exception):
    """A message for the user: what was expected, what was found."""


def listed_sentences(text: str) -> list[str]:
    """One sentence per line; empty lines and lines that begin with ``#`` do not count."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def cut_sentences(text: str) -> list[str]:
    """Sentences of `SHORTEST` to `LONGEST` characters of running text, in order, none twice.

    Line breaks are spaces; a sentence ends in ``.``, ``!`` or ``?`` before a space and a capital,
    so "e.g. this" is not cut. Anything but letters, digits and plain punctuation (markup, verse
    numbers such as 3:16, other scripts) disqualifies a sentence rather than being read aloud.
    """
    flat = re.sub(r"\s+", " ", text)
    plain = re.compile(r"[A-Za-z0-9 ,.;:!?'\"()-]+")
    found: dict[str, None] = {}
    for piece in re.split(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z])", flat):
        sentence = piece.strip()
        good = plain.fullmatch(sentence) and not re.search(r"\d:\d|[a-z]\d|\d[a-z]", sentence)
        if good and SHORTEST <= len(sentence) <= LONGEST and sentence[-1] in ".!?":
            found[sentence] = None
    return list(found)


def draw(voice: Voice, number: int, seed: int) -> tuple[float, float]:
    """Duration stretch and pitch factor of sentence `number`: (1, 1) for a voice that is fixed."""
    if not voice.vary:
        return 1.0, 1.0
    law = random.Random(f"{seed}/{voice.name}/{number}")
    return round(law.uniform(0.9, 1.12), 3), round(law.uniform(0.88, 1.12), 3)


def order(voice: Voice, count: int, seed: int) -> list[int]:
    """Sentence numbers in the order in which a voice reads them (shuffled unless it reads all)."""
    numbers = list(range(count))
    if voice.minutes is not None:
        random.Random(f"{seed}/{voice.name}").shuffle(numbers)
    return numbers


def seconds_of(path: Path) -> float | None:
    """Length of a complete 16 kHz mono s16 file; None if it is absent or broken."""
    try:
        with wave.open(str(path), "rb") as file:
            frames = file.getnframes()
            whole = len(file.readframes(frames)) == 2 * frames
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
    except (OSError, EOFError, wave.Error):
        return None
    if form != (RATE, 1, 2):
        raise SpeechError(f"{path}: expected {RATE} Hz mono 16 bit, found {form[0]} Hz, "
                          f"{form[1]} channels, {8 * form[2]} bit")  # fmt: skip
    return frames / RATE if whole and frames else None


def find_flite(name: str, voices: Iterable[Voice]) -> str:
    """Path of the program; an error if it or one of its voices is missing."""
    flite = shutil.which(name)
    if flite is None:
        raise SpeechError(
            f"{name}: no such program; training speech needs flite (Debian: apt-get install flite)"
        )
    out = subprocess.run([flite, "-lv"], capture_output=True, text=True, check=False).stdout
    have = out.partition(":")[2].split()
    missing = [voice.name for voice in voices if voice.name not in have]
    if missing:
        raise SpeechError(f"{flite}: expected the voices {', '.join(missing)}, "
                          f"found {', '.join(have) or 'none'}")  # fmt: skip
    return flite


def speak(flite: str, voice: Voice, sentence: str, path: Path, *, stretch: float, pitch: float):
    """One sentence into `path`, by way of a file beside it: a broken run leaves no half one."""
    part = path.with_name(path.name + ".part")
    command = [flite, "-voice", voice.name]
    if voice.vary:
        command += ["--setf", f"duration_stretch={stretch}", "--setf", f"f0_shift={pitch}"]
    command += ["-t", sentence, "-o", str(part)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or seconds_of(part) is None:
        part.unlink(missing_ok=True)
        raise SpeechError(f"{path}: {flite} failed (status {done.returncode}) on "
                          f"{sentence!r}: {done.stderr.strip()}")  # fmt: skip
    os.replace(part, path)


def make(out: Path, voices: Iterable[Voice], sentences: list[str], *, seed: int, flite: str
         ) -> Iterator[str]:  # fmt: skip
    """Make what is missing below `out`; yields one line of report per voice."""
    for voice in voices:
        folder = out / voice.name
        folder.mkdir(parents=True, exist_ok=True)
        total, made = 0.0, 0
        for number in order(voice, len(sentences), seed):
            if voice.minutes is not None and total >= 60 * voice.minutes:
                break
            path = folder / f"{number:05d}.wav"
            length = seconds_of(path)
            if length is None:
                stretch, pitch = draw(voice, number, seed)
                speak(flite, voice, sentences[number], path, stretch=stretch, pitch=pitch)
                length = seconds_of(path) or 0.0
                made += 1
            total += length
        yield f"{voice.name}: {total / 60:.1f} min in {folder} ({made} files made now)"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("out", type=Path, help="folder for <voice>/<number>.wav")
    parser.add_argument("--sentences", type=Path, default=Path(__file__).parent / "sentences.txt",
                        help="one sentence per line (default: %(default)s)")  # fmt: skip
    parser.add_argument(
        "--text",
        type=Path,
        action="append",
        default=[],
        help="plain text to cut into further sentences; may be given repeatedly",
    )
    parser.add_argument("--voice", action="append", metavar="NAME[=MINUTES]", default=[],
                        help="only this voice, this long (default: slt all sentences, rms and awb "
                        "8 min, kal16 1 min)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--flite", default="flite", help="the program (default: %(default)s)")
    return parser.parse_args(arguments)


def chosen(given: list[str]) -> tuple[Voice, ...]:
    """Voices of the command line, ``name`` or ``name=minutes``; none given means `VOICES`."""
    known = {voice.name: voice for voice in VOICES}
    voices = []
    for item in given:
        name, equals, minutes = item.partition("=")
        voice = known.get(name, Voice(name, None, vary=True))
        try:
            length = float(minutes) if equals else voice.minutes
        except ValueError:
            raise SpeechError(f"--voice {item}: expected NAME or NAME=MINUTES") from None
        voices.append(dataclasses.replace(voice, minutes=length))
    return tuple(voices) or VOICES


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        voices = chosen(options.voice)
        sentences = listed_sentences(options.sentences.read_text(encoding="utf-8"))
        for text in options.text:
            sentences += cut_sentences(text.read_text(encoding="utf-8", errors="replace"))
        sentences = list(dict.fromkeys(sentences))  # none twice
        if not sentences:
            raise SpeechError(f"{options.sentences}: expected sentences, found none")
        flite = find_flite(options.flite, voices)
        for line in make(options.out, voices, sentences, seed=options.seed, flite=flite):
            print(line, flush=True)
    except (SpeechError, OSError) as error:
        print(f"make_speech: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
