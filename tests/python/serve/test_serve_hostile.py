"""Clients that mean no good: the server stays, forgets them, and serves the others."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from serving import running
from voices import TREE, make_features

httpx = pytest.importorskip("httpx")

import pyvoc  # noqa: E402
from pyvoc.files.pcm import to_int16  # noqa: E402
from pyvoc.serve import Limits, engine  # noqa: E402
from pyvoc.serve.app import application  # noqa: E402
from pyvoc.serve.server import server  # noqa: E402

MODEL = pyvoc.load(TREE)
DIMS = MODEL.info.layout_dims
PATIENCE = 2.0
LIMITS = Limits(streams=12, utterance_frames=200, message_bytes=1 << 16, patience_seconds=PATIENCE)


class Served:
    def __init__(self, port: int, connections: set[Any]) -> None:
        self.port, self.connections = port, connections
        self.peers: list[socket.socket] = []
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, headers={"connection": "close"}
        )

    def socket(self, *, buffer: int = 0) -> socket.socket:
        peer = socket.socket()
        self.peers.append(peer)
        if buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        peer.settimeout(30)
        peer.connect(("127.0.0.1", self.port))
        return peer

    def stream(self, *, buffer: int = 0) -> socket.socket:
        """A WebSocket after its handshake, for bytes that no library would send."""
        peer = self.socket(buffer=buffer)
        key = base64.b64encode(os.urandom(16)).decode()
        peer.sendall(
            f"GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert peer.recv(12) == b"HTTP/1.1 101"
        return peer

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, data: bytes) -> Any:
        return self.client.post("/synthesize", content=data)

    def settled(self) -> None:
        """Nobody is connected, no stream is open, and the next client is served."""
        end = time.monotonic() + 60
        while self.connections:
            assert time.monotonic() < end, "a connection stays"
            time.sleep(0.05)
        for peer in self.peers:
            peer.close()
        self.peers.clear()
        while "pyvoc_streams_open 0\n" not in self.get("/metrics").text:
            assert time.monotonic() < end, "a stream stays"
            time.sleep(0.05)
        rows = make_features(8)
        expected = to_int16(MODEL.synthesize(rows)).astype("<i2").tobytes()
        assert self.post(rows.astype("<f4").tobytes()).content[44:] == expected


@contextmanager
def serving() -> Iterator[Served]:
    with running(MODEL, LIMITS) as (port, uvicorn):
        found = Served(port, uvicorn.server_state.connections)
        yield found
        found.client.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as found:
        yield found


def ended(peer: socket.socket) -> bool:
    """Whether the server closes; what it says meanwhile is read."""
    with contextlib.suppress(ConnectionError):
        while peer.recv(1 << 16):
            pass
    return True


def frame(opcode: int, data: bytes, *, fin: int = 0x80, masked: bool = True) -> bytes:
    size = len(data)
    short = size if size < 126 else 126 if size < 1 << 16 else 127
    head = bytes([fin | opcode, 0x80 * masked | short])
    head += b"" if short < 126 else struct.pack(">H" if short == 126 else ">Q", size)
    return head + (bytes(4) if masked else b"") + data  # a mask of zeros changes nothing


def test_requests_that_do_not_come(served: Served) -> None:
    silent, half = served.socket(), served.socket()
    half.sendall(b"POST /synthesize HTTP/1.1\r\nHost: x\r\n")
    slow = served.socket()
    began = time.monotonic()
    with contextlib.suppress(ConnectionError):  # a byte now and then is no request either
        for byte in b"GET /health HTTP/1.1\r\n" + b"x" * 1000:
            slow.sendall(bytes([byte]))
            time.sleep(0.1)
            assert time.monotonic() - began < 20
    assert ended(silent) and ended(half)
    again = served.socket()  # nor is half a second request
    again.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert again.recv(12) == b"HTTP/1.1 200"
    again.sendall(b"GET /hea")
    assert ended(again)
    served.settled()


def test_many_connections_that_say_nothing(served: Served) -> None:
    """They take all the places there are for requests; not those of streams, and not for long."""
    many = [served.socket() for _ in range(2 * LIMITS.streams + 100)]
    peer = served.stream()
    peer.sendall(frame(2, make_features(4).astype("<f4").tobytes()) + frame(1, b"end"))
    found = b""
    while b'"samples": ' not in found:
        found += peer.recv(1 << 16)
    peer.close()
    for silent in many:
        assert ended(silent)
    served.settled()


def test_pings_whose_answers_nobody_takes(served: Served) -> None:
    peer = served.stream(buffer=4096)
    pings = frame(9, b"x" * 125) * 1000
    sent = 0
    with pytest.raises(ConnectionError):
        while sent < 256 << 20:
            peer.sendall(pings)
            sent += len(pings)
    peer.close()
    served.settled()


def test_sound_that_nobody_takes(served: Served) -> None:
    """Neither a stream nor an utterance keeps its connection, though its peer lives."""
    rows = make_features(190).astype("<f4").tobytes()
    stream = served.stream(buffer=4096)
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            stream.sendall(frame(2, rows))
    utterances = [served.socket(buffer=4096) for _ in range(3)]
    for peer in utterances:
        head = f"POST /synthesize HTTP/1.1\r\nHost: x\r\nContent-Length: {len(rows)}\r\n\r\n"
        peer.sendall(head.encode() + rows)
    served.settled()


def test_a_body_that_does_not_end(served: Served) -> None:
    peer = served.socket()
    peer.sendall(b"POST /synthesize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    with pytest.raises(ConnectionError):
        for _ in range(100_000):
            peer.sendall(piece)
            time.sleep(0.01)
    peer.close()
    served.settled()


def test_bodies_that_come_slowly_are_as_many_as_streams(served: Served) -> None:
    head = b"POST /synthesize HTTP/1.1\r\nHost: x\r\nContent-Length: 800\r\n\r\n"
    slow = [served.socket() for _ in range(LIMITS.streams)]
    for peer in slow:
        peer.sendall(head + bytes(80))
    rows = make_features(4).astype("<f4").tobytes()
    end = time.monotonic() + 20
    while served.post(rows).status_code != 503:
        assert time.monotonic() < end
    for peer in slow:
        assert peer.recv(12) == b"HTTP/1.1 408"
        peer.close()
    served.settled()


def test_garbage_for_requests(served: Served) -> None:
    rng = random.Random(1)
    good = b"POST /synthesize?seed=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 80\r\n\r\n" + bytes(80)
    for case in range(60):
        data = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(70)
            choice = rng.choice(b" \r\n\0\x7f:/?%&=0189aZ\xff")
            data[at : at + rng.randrange(3)] = bytes([choice]) * rng.choice((1, 1, 2, 40))
        if case % 10 == 0:
            data = bytearray(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * (1 << 20))
        peer = served.socket()
        with contextlib.suppress(OSError):  # it may have been closed already
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        assert ended(peer)
    served.settled()


def test_garbage_for_messages(served: Served) -> None:
    rng = random.Random(2)
    rows = make_features(3).astype("<f4").tobytes()
    parts = [
        frame(2, rows),
        frame(2, b""),
        frame(1, b"end"),
        frame(1, b"\xff\xfe"),
        frame(0, rows),  # continues nothing
        frame(2, rows, fin=0) + frame(0, rows) * 3,
        frame(2, rows, fin=0) + frame(1, b"end"),  # within another
        frame(0, b"", fin=0) * 100,
        frame(2, rows, masked=False),
        frame(3, b"x"),
        frame(8, b"\x03"),
        frame(8, struct.pack(">H", 999)),
        frame(9, b"x" * 126),
        frame(2, rows, fin=0xF0),
        b"\x82\xff" + b"\xff" * 8,
        b"\x82\xff" + struct.pack(">Q", 1 << 40),
        b"GET / HTTP/1.1\r\n\r\n",
    ]
    for case in range(60):
        data = b"".join(rng.choices(parts, k=rng.randint(1, 4)))
        if case % 3 == 0:
            data = data[: rng.randrange(len(data))] + rng.randbytes(20)
        peer = served.stream()
        with contextlib.suppress(OSError):  # it may have been closed already
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        assert ended(peer)
    served.settled()


def test_changed_bodies(served: Served) -> None:
    """Whatever floats are sent: a wav, or a sentence."""
    rng = np.random.default_rng(3)
    odd = np.array([0, -1, 1e30, -3e38, 1e-40, np.nan, np.inf, 1e4, 255], np.float32)
    good = make_features(4).astype("<f4")
    for _ in range(100):
        rows = good.copy()
        for _ in range(int(rng.integers(1, 4))):
            rows[int(rng.integers(4)), int(rng.integers(DIMS))] = rng.choice(odd)
        data = rows.tobytes()[: int(rng.choice([4 * 4 * DIMS, 4 * 4 * DIMS, 100]))]
        reply = served.post(data)
        assert reply.status_code in (200, 400)
        if reply.status_code == 400:
            assert 0 < len(reply.json()["error"]) < 400
        else:
            assert len(reply.content) == 44 + 2 * 4 * MODEL.info.hop_length


def test_a_failure_of_any_kind_ends_its_stream_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(engine, "pull_together", fail)
        peer = served.stream()
        peer.sendall(frame(2, make_features(3).astype("<f4").tobytes()))
        found = b""
        while b"it failed: MemoryError" not in found:
            piece = peer.recv(1 << 16)
            assert piece, "it was closed without a word"
            found += piece
        peer.close()
        with pytest.raises(httpx.RemoteProtocolError):  # a wav that is cut short
            served.post(make_features(3).astype("<f4").tobytes())
    served.settled()


def test_no_stream_is_pinged() -> None:
    """The answer of a client that sent much at once would come too late."""
    config = server(application({"tree": MODEL}), LIMITS).config
    assert config.ws_ping_interval is None and json.dumps(config.ws_max_size) == str(1 << 16)
