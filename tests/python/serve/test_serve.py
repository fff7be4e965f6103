"""The server: clients get what `synthesize` gives; bad, slow and vanishing ones harm nobody."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from serving import running
from voices import TREE, make_features

httpx = pytest.importorskip("httpx")
import websockets  # noqa: E402

import pyvoc  # noqa: E402
from pyvoc.cli import main  # noqa: E402
from pyvoc.files.pcm import to_int16  # noqa: E402
from pyvoc.serve import Limits  # noqa: E402

MODEL = pyvoc.load(TREE)
DIMS = MODEL.info.layout_dims


@contextmanager
def serving(limits: Limits) -> Iterator[str]:
    with running(MODEL, limits) as (port, _):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    limits = Limits(streams=12, utterance_frames=200, message_bytes=1 << 16, patience_seconds=20.0)
    with serving(limits) as found:
        yield found


def pcm(rows: np.ndarray, **options: Any) -> bytes:
    return to_int16(MODEL.synthesize(rows, **options)).astype("<i2").tobytes()


def post(address: str, data: bytes, query: str = "") -> httpx.Response:
    return httpx.post(f"http://{address}/synthesize{query}", content=data, timeout=60)


def metric(address: str, name: str) -> int:
    lines = httpx.get(f"http://{address}/metrics", timeout=60).text.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"pyvoc_{name} "))


def emptied(address: str) -> None:
    end = time.monotonic() + 60
    while metric(address, "streams_open"):
        assert time.monotonic() < end
        time.sleep(0.05)


async def spoken(address: str, rows: np.ndarray, seed: int, *, step: int = 3) -> bytes:
    found = []
    async with websockets.connect(f"ws://{address}/stream?seed={seed}") as socket:
        assert json.loads(await socket.recv())["dims"] == DIMS

        async def send() -> None:
            for i in range(0, len(rows), step):
                await socket.send(rows[i : i + step].astype("<f4").tobytes())
            await socket.send("end")

        sending = asyncio.create_task(send())
        async for message in socket:
            found.append(message)
        await sending
    assert json.loads(found.pop()) == {"samples": sum(map(len, found)) // 2}
    return b"".join(found)


def test_an_utterance(address: str) -> None:
    rows = make_features(50)
    reply = post(address, rows.tobytes(), "?voice=tree&seed=3&speed=1.25")
    assert reply.status_code == 200 and reply.content[:4] == b"RIFF"
    assert reply.content[44:] == pcm(rows, seed=3, speed=1.25)
    voices = httpx.get(f"http://{address}/voices", timeout=60).json()
    assert voices["tree"]["sample_rate"] == 16000
    assert httpx.get(f"http://{address}/health", timeout=60).text == "ok\n"


def test_streams_in_lockstep_beside_vanishing_and_slow_clients(address: str) -> None:
    inputs = [make_features(40 + 7 * i, seed=i) for i in range(8)]

    async def vanish() -> None:
        socket = await websockets.connect(f"ws://{address}/stream")
        await socket.send(make_features(100).tobytes())
        socket.transport.abort()

    async def everyone() -> list[bytes]:
        async with websockets.connect(f"ws://{address}/stream") as lazy:  # it takes nothing
            await lazy.send(make_features(400, seed=9).tobytes())
            found = await asyncio.gather(
                vanish(), vanish(), *(spoken(address, r, i) for i, r in enumerate(inputs))
            )
        return [piece for piece in found if piece is not None]

    made = asyncio.run(everyone())
    assert made == [pcm(rows, seed=i) for i, rows in enumerate(inputs)]
    emptied(address)
    assert metric(address, "turn_streams_total") > metric(address, "turns_total")


@pytest.mark.parametrize(
    ("data", "query", "status", "message"),
    [
        (b"", "", 400, "no frames"),
        (b"abc", "", 400, "no whole frames"),
        (np.full((3, DIMS), np.nan, "<f4").tobytes(), "", 400, "not finite"),
        (bytes(4 * DIMS * 201), "", 413, "more than 200 frames"),
        (bytes(4 * DIMS), "?voice=/etc/passwd", 400, "no such voice"),
        (bytes(4 * DIMS), "?seed=x", 400, "no whole number"),
        (bytes(4 * DIMS), "?seed=-1", 400, "seed"),
        (bytes(4 * DIMS), "?speed=nan", 400, "speed"),
        (bytes(4 * DIMS), "?path=x", 400, "nothing else"),
    ],
)
def test_bad_utterances(address: str, data: bytes, query: str, status: int, message: str) -> None:
    reply = post(address, data, query)
    assert reply.status_code == status and message in reply.json()["error"]
    assert metric(address, "streams_open") == 0


@pytest.mark.parametrize(
    ("query", "message", "code"),
    [
        ("", b"abc", 1007),
        ("", np.full((3, DIMS), np.inf, "<f4").tobytes(), 1007),
        ("", "hello", 1007),
        ("", bytes(1 << 17), 1009),
        ("?voice=other", None, 1008),
    ],
)
def test_bad_streams(address: str, query: str, message: Any, code: int) -> None:
    async def talk() -> int:
        async with websockets.connect(f"ws://{address}/stream{query}") as socket:
            if message is not None:
                await socket.send(message)
            async for _ in socket:
                pass
            return socket.close_code or 0

    async def closed() -> int:
        try:
            return await talk()
        except websockets.ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else 0

    assert asyncio.run(closed()) == code
    emptied(address)


def test_one_too_many_is_refused_and_an_idle_one_is_ended() -> None:
    async def overload(address: str) -> tuple[int, int]:
        url = f"ws://{address}/stream"
        async with websockets.connect(url) as first:
            await first.recv()
            async with websockets.connect(url) as second:
                with pytest.raises(websockets.ConnectionClosed) as refused:
                    await second.recv()
            reply = await asyncio.to_thread(post, address, make_features(2).tobytes())
            assert reply.status_code == 503 and reply.headers["retry-after"] == "1"
            with pytest.raises(websockets.ConnectionClosed) as ended:
                await first.recv()
        return refused.value.rcvd.code, ended.value.rcvd.code

    with serving(Limits(streams=1, patience_seconds=4.0)) as address:
        assert asyncio.run(overload(address)) == (1013, 1008)
        assert metric(address, "refused_total") == 2
        emptied(address)


def test_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "pyvoc", "serve", "-m", str(TREE), "--json", "--port"]
    server = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        served = json.loads(server.stdout.readline())
        name, rows = TREE.stem, make_features(5)
        assert served["voices"] == [name]
        reply = post(f"127.0.0.1:{served['port']}", rows.tobytes(), f"?voice={name}")
        assert reply.content[44:] == pcm(rows)
        assert main(["serve", "-m", str(TREE), "--port", str(served["port"])]) == 3
        assert "cannot listen on 127.0.0.1:" in capfd.readouterr().err
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()
