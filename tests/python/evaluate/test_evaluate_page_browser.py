"""The page in headless Chromium: it plays, switches, draws, and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Iterator

import chromium
import numpy as np
import pytest
from chromium import Browser
from sounds import speechlike

from pyvoc.evaluate.page import Clip, Rendition, write_page
from pyvoc.evaluate.page.picture import COLUMNS

if chromium.COMMAND is None:
    pytest.skip("needs chromium", allow_module_level=True)

HOSTILE = '</script><script>document.title="taken"</script><img src="http://x.invalid/a" onerror=1>'
RATES = (16000, 22050, 8000, 48000)
LONG, SHORT = 3.0, 0.3


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with a page of two clips: four systems of 3 s, two of 0.3 s."""
    folder = tmp_path_factory.mktemp("page")
    long = [
        Rendition(f"system {i}", speechlike(LONG, rate=rate, seed=i), rate, {"mcd_db": float(i)})
        for i, rate in enumerate(RATES)
    ]
    short = [
        Rendition(HOSTILE, speechlike(SHORT), 16000, note=HOSTILE),
        Rendition("\udcff\0\u202e", np.zeros(int(SHORT * 16000)), 16000),
    ]
    clips = [Clip("long", long, text="said"), Clip(HOSTILE, short, text=HOSTILE)]
    write_page(folder / "index.html", clips, title=HOSTILE, lead=HOSTILE, notes=(HOSTILE,))
    with chromium.browser(folder / "profile") as found:
        found.open(folder / "index.html")
        yield found


@pytest.fixture(autouse=True)
def at_rest(window: Browser) -> Iterator[None]:
    """Every test begins and ends with all players stopped at 0, and without complaint."""
    yield
    window.run("players.forEach((p) => { p.pause(); p.currentTime = 0; })")
    assert window.complaints() == []
    assert all(url.startswith(("file:", "data:")) for url in window.requests())
    assert sum(url.startswith("file:") for url in window.requests()) == 1


def test_every_player_decodes(window: Browser) -> None:
    durations = window.run(
        """Promise.all(players.map((p) => new Promise((ok, bad) => {
            p.onloadeddata = () => ok(p.duration);
            p.onerror = () => bad(p.error.message);
            p.preload = "auto";
            p.load();
        })))"""
    )
    np.testing.assert_allclose(durations, [LONG] * 4 + [SHORT] * 2, atol=1e-3)


def test_sound_plays_to_its_end(window: Browser) -> None:
    played = window.run(
        """new Promise((ok, bad) => {
            const p = players[4];
            p.onended = () => ok(p.currentTime);
            p.onerror = () => bad(p.error.message);
            p.play();
        })"""
    )
    assert played == pytest.approx(SHORT, abs=0.01)


def test_pictures_are_drawn(window: Browser) -> None:
    widths = window.run("[...document.images].map((i) => i.complete && i.naturalWidth)")
    assert widths == [COLUMNS] * 6
    assert window.run("document.images[0].alt") == "Spectrogram of system 0, long, 0 to 24 kHz"


def test_hostile_names_are_text(window: Browser) -> None:
    assert window.run("document.title") == HOSTILE
    assert window.run("document.querySelector('h1').textContent") == HOSTILE
    labels = window.run("[...document.querySelectorAll('figcaption bdi')].map((e) => e.innerText)")
    assert labels[4:] == [HOSTILE, "\ufffd\ufffd\u202e"]
    assert window.run("players[4].ariaLabel") == f"{HOSTILE}, {HOSTILE}"
    assert window.run("document.scripts.length") == 1


def test_another_system_goes_on_at_the_same_place(window: Browser) -> None:
    window.run(_until_beyond(0, 0.5))
    window.run(
        """window.taken = new Promise((ok) => {
            players[1].onplaying = () => ok(players.map((p) => [p.paused, p.currentTime]));
        }); 0"""
    )
    window.press("2")
    found = window.run("taken")
    assert [paused for paused, _ in found] == [True, False, True, True, True, True]
    assert 0.5 <= found[0][1] <= found[1][1] + 0.05
    assert window.run("document.querySelectorAll('.playing').length") == 1
    window.press(" ")
    assert window.run("players.every((p) => p.paused)")
    lines = "[...document.querySelectorAll('.heard i')].map((i) => parseFloat(i.style.left))"
    assert window.run(lines) == [
        pytest.approx(100 * window.run("players[1].currentTime") / LONG, abs=0.01)
    ]


def test_another_clip_starts_where_it_was(window: Browser) -> None:
    window.run(_until_beyond(0, 0.5))
    assert window.run("players[5].play().then(() => players[5].currentTime)") < SHORT
    assert window.run("players[0].paused")


def test_a_click_on_a_picture_plays_from_there(window: Browser) -> None:
    window.run("document.images[2].scrollIntoView()")
    box = window.run("JSON.parse(JSON.stringify(document.images[2].getBoundingClientRect()))")
    x, y = box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"]
    for kind in ("mousePressed", "mouseReleased"):
        window.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    paused, place = window.run("[players[2].paused, players[2].currentTime]")
    assert not paused
    assert 0.49 * LONG <= place <= LONG
    assert window.run("document.activeElement === players[2]")


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_sticks_out(window: Browser, width: int) -> None:
    window.call(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    assert window.run("document.documentElement.scrollWidth") <= width
    columns = window.run("getComputedStyle(document.querySelector('.systems')).gridTemplateColumns")
    assert len(columns.split()) == (1 if width == 360 else 3)
    window.call("Emulation.clearDeviceMetricsOverride")


def test_dark_and_light(window: Browser) -> None:
    grounds = []
    for scheme in ("dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        window.call("Emulation.setEmulatedMedia", features=features)
        colour = window.run("getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(map(int, colour.strip("rgb()").split(","))))
    assert grounds[0] < 150 < 600 < grounds[1]


def _until_beyond(player: int, seconds: float) -> str:
    """Play until a place is passed."""
    return f"""new Promise((ok) => {{
        const p = players[{player}];
        const look = () => p.currentTime > {seconds} ? ok() : setTimeout(look, 10);
        p.play();
        look();
    }})"""
