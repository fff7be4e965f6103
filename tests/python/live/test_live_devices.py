"""Live sessions on the real audio path without a sound card: JACK's dummy server (paced callbacks,
exact loopback, true xruns) and ALSA's file plugin (exact, not paced)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jack import Server, environment, need_port_audio, server
from sounds import speechlike

import pyvoc
from pyvoc import audio, doubts
from pyvoc.files.pcm import to_int16
from pyvoc.live.latency import lag_of_level, probe

WORKER = Path(__file__).parents[1] / "support" / "live_worker.py"
SECONDS = os.environ.get("PYVOC_LIVE_SECONDS", "60")  # of the run with a busy interpreter
LATE = 0.012  # seconds: a thread that wakes this late had no processor


@pytest.fixture(scope="module")
def jack() -> Iterator[Server]:
    with server() as running:
        yield running


def result(process: subprocess.Popen[str], *, timeout: float = 120) -> dict[str, object]:
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return json.loads(out)  # type: ignore[no-any-return]


def test_devices_lists_the_server(jack: Server) -> None:
    process = jack.run("-m", "pyvoc", "devices", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (device,) = [d for d in json.loads(out) if "JACK" in d["host"]]
    assert (device["inputs"], device["outputs"], device["rate"]) == (2, 2, 16000)
    assert device["default_input"] and device["default_output"]


def test_loop_back_of_the_bypass_is_exact(jack: Server) -> None:
    process = jack.run(WORKER, "loop_back")
    jack.loop_back()
    found = result(process)
    assert found["heard_wrong"] == found["made_wrong"] == 0
    assert found["samples"] > 40000
    assert found["trip"] % 160 == 0  # the server's periods
    assert found["engine"] == round(16 * found["counted"])  # type: ignore[operator]


def steady(jack: Server, *command: str | Path) -> dict[str, float]:
    """A measurement of the delay during which it did not change; three are tried, as the host may
    stall."""
    for _ in range(3):
        process = jack.run(*command)
        jack.loop_back()
        found: dict[str, float] = result(process)  # type: ignore[assignment]
        if found["moved"] <= 1.0 and found["underruns"] == 0:
            break
    assert found["moved"] <= 1.0
    assert found["underruns"] == 0
    return found


def test_latency_by_correlation_is_the_engines_own_count(jack: Server) -> None:
    exact = steady(jack, WORKER, "latency", "bypass")
    assert exact["engine"] == pytest.approx(exact["counted"], abs=0.01)
    # A reserve that the host's stalls do not reach.
    command = ("-m", "pyvoc", "live", "-m", "lpcnet", "--measure-latency", "--margin", "40")
    speech = steady(jack, *command, "--json")
    # The voice itself: it was trained to speak 5 ms late (upstream's TRAINING_OFFSET), and grows
    # loud more slowly than this signal.
    voice, sound = pyvoc.load("lpcnet"), probe(16000)
    alone = voice.synthesize(pyvoc.features.extract(sound, model=voice))
    late = lag_of_level(sound, alone, 16000)[0] / 16
    assert 5 - 1 < late < 12
    assert speech["engine"] == pytest.approx(speech["counted"] + late, abs=1.5)
    # A frame, the look-ahead, the reserve.
    assert speech["counted"] == pytest.approx(10 + 20 + 40)
    assert speech["total"] <= 75.0 + 30.0  # 30: of reserve, beyond the default


def stalls_of_the_host(seconds: float) -> subprocess.Popen[str]:
    """Counts, beside a test, how often a real-time thread got no processor for LATE seconds."""
    code = f"""if True:
        import os, time
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
        except OSError:
            pass
        end, late, last = time.monotonic() + {seconds}, 0, time.monotonic()
        while last < end:
            time.sleep(0.002)
            now = time.monotonic()
            late += now - last > {LATE}
            last = now
        print(late)
    """
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_no_underruns_while_python_is_busy(jack: Server) -> None:
    """Native callbacks and engine: what the interpreter does is no matter. An underrun needs the
    host to stall, which is counted beside it."""
    watch = stalls_of_the_host(float(SECONDS) + 8)
    stats = result(jack.run(WORKER, "busy", SECONDS), timeout=float(SECONDS) + 120)
    stalls = int(watch.communicate(timeout=60)[0])
    xruns = int(stats["output_xruns"])  # type: ignore[call-overload]
    assert int(stats["underruns"]) <= stalls, stats  # type: ignore[call-overload]
    assert stats["lost_ms"] == 0 or stalls or xruns
    heard = float(stats["seconds"])  # type: ignore[arg-type]
    assert heard > 0.9 * float(SECONDS) or stalls or xruns
    assert stats["times_real_time"] > 1  # type: ignore[operator]


def test_a_python_callback_works_and_says_what_it_costs(jack: Server) -> None:
    process = jack.run("-m", "pyvoc", "live", "--python-callback", "--duration", "2", "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "a busy interpreter costs underruns" in err
    assert json.loads(out)["callback"]["count"] > 50


def test_stalled_callbacks_are_xruns(jack: Server) -> None:
    """Three callbacks of 100 ms in a server of 10 ms: the server says so, and so do we."""
    stats = result(jack.run(WORKER, "stall", "3"))
    assert int(stats["output_xruns"]) >= 3  # type: ignore[call-overload]
    assert int(stats["input_xruns"]) == int(stats["output_xruns"])  # type: ignore[call-overload]


def test_a_server_that_ends_is_told(tmp_path: Path) -> None:
    with server() as doomed:
        process = doomed.run("-m", "pyvoc", "live", "--record", tmp_path / "both.wav")
        assert process.stderr is not None
        process.stderr.readline()  # it runs
        time.sleep(1.0)
        doomed.stop()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 3
        assert "the audio device stopped" in err
        assert "Traceback" not in err
        with doubts.collect():  # nobody spoke
            assert audio.read(tmp_path / "both.wav")[1] == 16000  # what there was


def test_ctrl_c(jack: Server) -> None:
    process = jack.run("-m", "pyvoc", "live")
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "underruns" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "12345"], ("cannot be opened at 12345 Hz", "16000 Hz")),
        (["--channels", "5"], ("has 2 input channels, 5 wanted",)),
        (["--channels", "1,9"], ("has 2 output channels, 9 wanted",)),
        (["--input", "no such thing"], ("no audio device is called 'no such thing'",)),
        (["--output", "77"], ("no audio device 77",)),
    ],
)
def test_refusals(jack: Server, arguments: list[str], words: tuple[str, ...]) -> None:
    process = jack.run("-m", "pyvoc", "live", "--duration", "1", *arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    for word in words:
        assert word in err


def test_a_file_over_alsa_is_exact(tmp_path: Path) -> None:
    """The file plugin writes what it is given: silence, then all of a short file."""
    need_port_audio()
    if sys.platform != "linux":
        pytest.skip("ALSA is Linux's")
    settings = tmp_path / "asound.conf"
    settings.write_text(
        "</usr/share/alsa/alsa.conf>\n"
        f'pcm.golden {{ type file slave.pcm "null" file "{tmp_path}/out.raw" format "raw" }}\n'
    )
    env = environment(ALSA_CONFIG_PATH=str(settings), JACK_DEFAULT_SERVER="nobody-is-called-so")
    listed = subprocess.run(
        [sys.executable, "-m", "pyvoc", "devices"], env=env, capture_output=True, text=True
    )
    if "golden" not in listed.stdout:
        pytest.skip("PortAudio here has no ALSA, or ALSA no configuration")
    said = speechlike(0.8).astype(np.float32)
    audio.write_wav(tmp_path / "in.wav", said, 16000)
    command = [WORKER, "play", str(tmp_path / "in.wav"), "golden", "16000"]
    subprocess.run([sys.executable, *command], env=env, check=True, timeout=100)
    heard = np.fromfile(tmp_path / "out.raw", "<f4")
    features = pyvoc.features.extract(audio.read(tmp_path / "in.wav")[0], layout="lpcnet36")
    expected = pyvoc.load("lpcnet").synthesize(features)
    first = int(np.argmax(heard != 0)) - int(np.argmax(expected != 0))
    got = heard[first : first + len(expected)]
    assert np.array_equal(to_int16(got), to_int16(expected))
    assert not heard[first + len(expected) :].any()
