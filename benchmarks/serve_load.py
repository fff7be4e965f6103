"""Many clients of `pyvoc serve` at once, in real time: how late is sound, and does memory grow?

    python benchmarks/serve_load.py [--clients 200] [--seconds 20] [--frames 4] [-m MODEL]

Starts a server, and so many clients in this process, each sending a few frames at a time when a
live source would have them; among them slow ones that take nothing and ones that vanish. A hop is
due when the frames that it needs were sent; it is late by what passes until its samples are here.
A client that would play with so much sound in hand as the worst delay never stalls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import websockets


def resident(pid: int) -> float:
    """MiB, of a process of this Linux."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


async def client(url: str, args: argparse.Namespace, start: float, delays: list[float]) -> None:
    """Speak in real time; the delay of each message that came."""
    async with websockets.connect(url, compression=None, open_timeout=120) as socket:
        about = json.loads(await socket.recv())
        hop = about["hop_length"] / about["sample_rate"]
        step = args.frames
        count = int(args.seconds / hop) // step
        rows = np.zeros((step, about["dims"]), "<f4").tobytes()
        sent: list[float] = []

        async def send() -> None:
            for i in range(count):
                await asyncio.sleep(start + i * step * hop - time.monotonic())
                sent.append(time.monotonic())
                await socket.send(rows)
            await socket.send("end")

        sending = asyncio.create_task(send())
        got = 0
        async for message in socket:
            if isinstance(message, str):
                continue
            got += len(message) // 2
            needed = -(-(got + about["latency_samples"]) // (step * about["hop_length"])) - 1
            if needed < len(sent) < count:  # what `end` gives is nobody's delay
                delays.append(time.monotonic() - sent[needed])
        await sending
        assert got == count * step * about["hop_length"], (got, count)


async def lazy(url: str, seconds: float) -> None:
    """Sends much and takes nothing."""
    async with websockets.connect(url, compression=None, max_queue=1) as socket:
        about = json.loads(await socket.recv())
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            sending = socket.send(np.zeros((8, about["dims"]), "<f4").tobytes())
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(sending, left)
        socket.transport.abort()


async def vanishing(url: str, seconds: float) -> None:
    """Comes, sends and is gone, over and over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        socket = await websockets.connect(url, compression=None)
        about = json.loads(await socket.recv())
        await socket.send(np.zeros((50, about["dims"]), "<f4").tobytes())
        await asyncio.sleep(0.1)
        socket.transport.abort()


async def measure(args: argparse.Namespace, pid: int) -> dict[str, object]:
    url = f"ws://127.0.0.1:{args.port}/stream"
    delays: list[float] = []
    start = time.monotonic() + 1 + args.clients / 100
    memory: list[float] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(1)
            memory.append(resident(pid))

    watching = asyncio.create_task(watch())
    clients = [
        # Spread over a message, as clients that know nothing of each other are.
        client(url, args, start + 0.01 * args.frames * i / args.clients, delays)
        for i in range(args.clients)
    ]
    bad = [lazy(url, args.seconds), vanishing(url, args.seconds)] * args.bad
    await asyncio.gather(*clients, *bad)
    watching.cancel()
    ms = 1e3 * np.array(delays)
    settled = memory[len(memory) // 3 :]
    return {
        "clients": args.clients,
        "bad": 2 * args.bad,
        "seconds": args.seconds,
        "frames": args.frames,
        "delay_ms": {str(q): round(float(np.percentile(ms, q)), 2) for q in (50, 99, 99.9, 100)},
        "memory_mib": [round(settled[0], 1), round(settled[-1], 1), round(max(settled), 1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--bad", type=int, default=4, help="of each sort")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--frames", type=int, default=4, help="of a message")
    parser.add_argument("--port", type=int, default=8601)
    parser.add_argument("-m", "--model", default="default")
    parser.add_argument("--threads", default=None)
    args = parser.parse_args()
    command = [sys.executable, "-m", "pyvoc", "serve", "-m", args.model, "--port", str(args.port)]
    command += ["--streams", str(args.clients + 2 * args.bad + 20)]
    command += ["--threads", args.threads] if args.threads else []
    server = subprocess.Popen(command)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{args.port}/health", timeout=5).close()
                break
            except OSError:
                if server.poll() is not None:
                    raise
                time.sleep(0.1)
        found = asyncio.run(measure(args, server.pid))
        with urllib.request.urlopen(f"http://127.0.0.1:{args.port}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        found["metrics"] = dict(line.split() for line in lines if not line.startswith("#"))
        print(json.dumps(found, indent=1))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
