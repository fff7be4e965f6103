"""The page of sounds: what is in the file, what it leaves out, what it refuses."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sounds import RATE, harmonics, noise, speechlike

from pyvoc import audio
from pyvoc.errors import AudioError, Error
from pyvoc.evaluate.compare import Measure
from pyvoc.evaluate.page import Clip, Rendition, picture, write_page, writer

VOID = {"img", "link", "meta"}


class Page(HTMLParser):
    """A file read strictly: every element is closed in its turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.text[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def data(self, tag: str) -> list[bytes]:
        kind = {"audio": "audio/flac", "img": "image/png"}[tag]
        heads, bodies = zip(*((a["src"] or "").split(",", 1) for a in self.all(tag)), strict=True)
        assert set(heads) == {f"data:{kind};base64"}
        return [base64.b64decode(body, validate=True) for body in bodies]


def shades(png: bytes) -> np.ndarray:
    """The palette's indices [rows, columns] of a picture without filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + data
        )
        chunks[kind] = data
        at += 12 + length
    columns, rows = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    assert 3 * (int(lines.max()) + 1) <= len(chunks[b"PLTE"])
    return lines[:, 1:]


def one(label: str = "a", seconds: float = 0.2, **more: object) -> Rendition:
    return Rendition(label, harmonics(200, seconds), RATE, **more)  # type: ignore[arg-type]


# ---- what is in it -------------------------------------------------------------------------------


def test_players_hold_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    loud = 1.5 * speechlike(0.5, rate=22050) / 0.4  # beyond full scale
    integers = np.array([-32768, 32767, 0, 1, -1] * 400, np.int16)
    sounds = [
        Rendition("original", speechlike(0.5), RATE),
        Rendition("float32", loud.astype(np.float32), 22050),
        Rendition("int16", integers, 8000),
    ]
    assert write_page(path, [Clip("a", sounds), Clip("b", sounds[:1])], title="T") == []
    page = Page(path)
    found = [soundfile.read(io.BytesIO(data), dtype="int16") for data in page.data("audio")]
    expected = [*sounds, sounds[0]]
    assert [rate for _, rate in found] == [sound.rate for sound in expected]
    for (samples, _), sound in zip(found, expected, strict=True):
        np.testing.assert_array_equal(samples, audio.to_int16(sound.samples))
    assert found[1][0].max() == 32767
    assert [a["aria-label"] for a in page.all("audio")] == [
        "original, a",
        "float32, a",
        "int16, a",
        "original, b",
    ]
    assert page.text["h1"] == ["T"]
    assert page.text["h2"] == ["a", "b"]
    assert [p.name for p in tmp_path.iterdir()] == ["index.html"]


def test_nothing_is_outside_the_file(tmp_path: Path) -> None:
    write_page(tmp_path / "p.html", [Clip("a", [one()])], title="T")
    page = Page(tmp_path / "p.html")
    addresses = [
        value for _, tag in page.tags for key, value in tag.items() if key in ("src", "href")
    ]
    assert len(addresses) == 3
    assert all(value is not None and value.startswith("data:") for value in addresses)
    text = page.text["style"][0] + page.text["script"][0]
    assert not any(word in text for word in ("http", "url(", "import", "fetch"))
    (policy,) = (a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith(
        "default-src 'none'; img-src data:; media-src data:; style-src 'sha256"
    )


def test_pictures_share_their_axes(tmp_path: Path) -> None:
    t = np.arange(2 * RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 2000 * t)
    sounds = [
        Rendition("2 s", tone, RATE),
        Rendition("1 s", 0.1 * tone[:RATE], RATE),
        Rendition("32 kHz", 0.5 * np.sin(2 * np.pi * 2000 * np.arange(64000) / 32000), 32000),
    ]
    write_page(tmp_path / "p.html", [Clip("a", sounds)], title="T")
    page = Page(tmp_path / "p.html")
    long, short, high = map(shades, page.data("img"))
    assert long.shape == (picture.ROWS, picture.COLUMNS)
    row = picture.ROWS - 1 - round(2000 / 16000 * picture.ROWS - 0.5)
    inside = slice(20, picture.COLUMNS // 2 - 20)
    for drawn in (long, short, high):
        assert abs(int(drawn[:, inside].mean(axis=1).argmax()) - row) <= 1
    assert not short[:, picture.COLUMNS // 2 + 20 :].any()
    assert long[:, picture.COLUMNS // 2 + 20 :].max() == 63
    assert not long[: picture.ROWS // 2].any()  # above 8 kHz of 16
    assert short.max() == pytest.approx(63 * (1 - 20 / picture.RANGE_DB), abs=1)
    assert page.all("section")[0]["data-seconds"] == "2.0000"
    assert page.all("img")[0]["alt"] == "Spectrogram of 2 s, a, 0 to 16 kHz"


def test_silence_and_the_shortest_sound_can_be_drawn(tmp_path: Path) -> None:
    sounds = [Rendition("silence", np.zeros(RATE), RATE), Rendition("one", np.ones(1), RATE)]
    write_page(tmp_path / "p.html", [Clip("a", sounds), Clip("b", sounds[1:])], title="T")
    assert len(Page(tmp_path / "p.html").data("img")) == 3


def test_names_are_text(tmp_path: Path) -> None:
    name = """</title></script><b onclick='x'>"&amp;\udcff\0"""
    clip = Clip(name, [one(name, note=name)], text=name)
    write_page(tmp_path / "p.html", [clip], title=name, lead=name, notes=[name])
    page = Page(tmp_path / "p.html")
    shown = name.replace("\udcff", "\ufffd").replace("\0", "\ufffd")
    assert page.text["title"] == page.text["h1"] == page.text["h2"] == [shown]
    assert page.text["bdi"] == [shown] * 3
    assert page.all("audio")[0]["aria-label"] == f"{shown}, {shown}"
    assert page.all("img")[0]["alt"] == f"Spectrogram of {shown}, {shown}, 0 to 8 kHz"
    assert page.text["footer"] == [shown]
    assert len(page.all("script")) == 1
    assert not page.all("b")


# ---- figures -------------------------------------------------------------------------------------

MEASURES = (
    Measure("x", "X", "dB", 1, 0),
    Measure("y", "Y", "", 2, 5.0),
    Measure("z", "Z", "s", 0, None),
)


def test_figures_and_their_means(tmp_path: Path) -> None:
    clips = [
        Clip(
            name,
            [
                one("original"),
                one("a", figures={"x": -shift, "y": 4.0, "z": 3}),
                one("b", figures={"x": 2.0, "y": None}),
                one("limit", figures={"x": -0.01}, yardstick=True),
            ],
        )
        for name, shift in (("first", 1.0), ("second", 2.0))
    ]
    write_page(tmp_path / "p.html", clips, title="T", measures=MEASURES)
    page = Page(tmp_path / "p.html")
    assert page.text["caption"] == ["Mean of 2 clips, the best in bold"]
    assert page.text["th"] == ["system", "X dB", "Y", "Z s", "a", "b", "limit"]
    assert page.text["td"] == ["−1.5", "4.00", "3", "2.0", "–", "–", "0.0", "–", "–"]
    assert page.text["strong"] == ["−1.5"]  # of one value there is no best
    assert page.text["dl"] == [
        "X−1.0 dBY4.00Z3 s",
        "X2.0 dBY–",
        "X0.0 dB",
        "X−2.0 dBY4.00Z3 s",
        "X2.0 dBY–",
        "X0.0 dB",
    ]


def test_a_system_may_be_called_as_a_yardstick_is(tmp_path: Path) -> None:
    """Their means stay apart; and where nothing is better than another, nothing is said of it."""
    measures = [Measure("x", "X", "", 1, best=None)]
    both = [one("floor", figures={"x": 1.0}), one("floor", figures={"x": 9.0}, yardstick=True)]
    write_page(tmp_path / "p.html", [Clip("a", both)], title="T", measures=measures)
    page = Page(tmp_path / "p.html")
    assert page.text["td"] == ["1.0", "9.0"]
    assert page.text["caption"] == ["The figures"]


def test_without_figures_there_is_no_table(tmp_path: Path) -> None:
    write_page(tmp_path / "p.html", [Clip("a", [one()])], title="T")
    page = Page(tmp_path / "p.html")
    assert not page.all("table")
    assert not page.all("dl")


# ---- bounds --------------------------------------------------------------------------------------


def test_long_sounds_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_SECONDS", 0.5)
    clips = [Clip("a", [one(seconds=0.5), one(seconds=0.75)]), Clip("b", [one()])]
    said = write_page(tmp_path / "p.html", clips, title="T")
    assert said == ["clips that are longer than 0.5 s are cut there: 1"]
    page = Page(tmp_path / "p.html")
    lengths = [len(soundfile.read(io.BytesIO(data))[0]) for data in page.data("audio")]
    assert lengths == [8000, 8000, 3200]
    assert f"Left out: {said[0]}." in page.text["p"]


def test_many_clips_count_and_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = noise(1.0)
    clips = [Clip(f"{i}", [Rendition("a", sound, RATE, {"x": float(i)})]) for i in range(5)]
    write_page(tmp_path / "all.html", clips, title="T", measures=MEASURES)
    assert len(Page(tmp_path / "all.html").all("section")) == 5
    monkeypatch.setattr(writer, "MOST_BYTES", int(2.5 * len(sound) * 2))
    (said,) = write_page(tmp_path / "some.html", clips, title="T", measures=MEASURES)
    page = Page(tmp_path / "some.html")
    shown = len(page.all("section"))
    assert 0 < shown < 5
    assert said.startswith(f"the first {shown} of 5 clips are on the page, 0 MB")
    assert page.text["td"] == ["2.0"]
    assert f"Left out: {said}." in page.text["p"]


def test_players_beyond_what_browsers_allow_wait(tmp_path: Path) -> None:
    clip = Clip("a", [one(f"{i}", 0.01) for i in range(25)])
    write_page(tmp_path / "p.html", [clip, clip], title="T")
    preload = [a["preload"] for a in Page(tmp_path / "p.html").all("audio")]
    assert preload == ["metadata"] * 40 + ["none"] * 10


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (Clip("c", []), "the clip 'c' has no sounds"),
        (Clip("c", [Rendition("s", np.zeros((9, 2)), RATE)]), "'s' of the clip 'c' has shape"),
        (Clip("c", [Rendition("s", np.zeros(0), RATE)]), r"shape \(0,\); expected mono"),
        (Clip("c", [Rendition("s", np.full(9, np.nan), RATE)]), "holds NaN"),
        (Clip("c", [Rendition("s", np.zeros(9), 0)]), "rate of 0 Hz"),
        (Clip("c", [one(figures={"q": 1.0})]), "'q' is no measure; measures: mcd_db, "),
    ],
)
def test_refused(clip: Clip, message: str, tmp_path: Path) -> None:
    with pytest.raises(Error, match=message):
        write_page(tmp_path / "p.html", [clip], title="T")
    assert not list(tmp_path.iterdir())


def test_no_clips(tmp_path: Path) -> None:
    with pytest.raises(Error, match="there is no clip to show"):
        write_page(tmp_path / "p.html", [], title="T")


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "p.html"
    path.write_text("before")

    def clips() -> Iterator[Clip]:
        yield Clip("a", [one()])
        raise AudioError("the second cannot be read")

    with pytest.raises(AudioError, match="the second"):
        write_page(path, clips(), title="T")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_is_refused_costs_no_clip(tmp_path: Path) -> None:
    made: list[str] = []

    def clips() -> Iterator[Clip]:
        made.append("a")
        yield Clip("a", [one()])

    (tmp_path / "folder.html").mkdir()
    for name, why in (("folder.html", "it is a directory"), ("gone/p.html", "No such file")):
        with pytest.raises(Error, match=why):
            write_page(tmp_path / name, clips(), title="T")
    assert made == []


def test_no_extra_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys, numpy\n"
        "from pyvoc.evaluate.page import Clip, Rendition, write_page\n"
        "clip = Clip('a', [Rendition('b', numpy.zeros(99), 16000, {'mcd_db': 1.0})])\n"
        "write_page('p.html', [clip], title='T')\n"
        "extras = ('matplotlib', 'pesq', 'pystoi', 'pyworld', 'scipy', 'soxr', 'torch', 'PIL')\n"
        "print([name for name in extras if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert run.stdout.strip() == "[]"
    assert (tmp_path / "p.html").is_file()
