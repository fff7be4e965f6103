"""The ASGI application: what clients may ask, and what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from pyvoc.errors import Error, FeatureError
from pyvoc.files.pcm import wav_header
from pyvoc.runtime.inputs import as_frames, as_seed
from pyvoc.runtime.model import Model
from pyvoc.runtime.speed import as_speed, scaled_length
from pyvoc.serve.engine import Engine, Full, Job
from pyvoc.serve.limits import Limits

__all__ = ["application"]

_BUSY, _BAD, _POLICY, _INTERNAL = 1013, 1007, 1008, 1011  # RFC 6455 and its registry
_FULL = "as many streams as there may be: try again"


def application(
    models: Mapping[str, Model], *, limits: Limits | None = None, threads: int = 1
) -> Starlette:
    """The application that serves models.

    Parameters
    ----------
    models
        By the name that clients know; the first speaks where they name none.
    limits
        Bounds; None for the usual ones.
    threads
        That synthesise.
    """
    bounds = limits or Limits()
    service = _Service(dict(models), Engine(bounds, threads=threads), bounds)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await asyncio.to_thread(service.engine.stop)

    return Starlette(
        routes=[
            Route("/health", service.health),
            Route("/voices", service.voices),
            Route("/metrics", service.metrics),
            Route("/synthesize", service.synthesize, methods=["POST"]),
            WebSocketRoute("/stream", service.stream),
        ],
        lifespan=lifespan,
    )


class _Service:
    def __init__(self, models: dict[str, Model], engine: Engine, limits: Limits) -> None:
        self.engine = engine
        self._models = models
        self._limits = limits
        self._reading = 0  # utterances whose bodies come: what they take is bounded, too

    async def health(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def voices(self, _: Request) -> Response:
        return JSONResponse({name: _about(model) for name, model in self._models.items()})

    async def metrics(self, _: Request) -> Response:
        engine = self.engine
        lines = []
        for name, kind, value in (
            ("streams_open", "gauge", engine.open),
            ("streams_limit", "gauge", self._limits.streams),
            ("streams_total", "counter", engine.opened),
            ("refused_total", "counter", engine.refused),
            ("failed_total", "counter", engine.failed),
            ("frames_total", "counter", engine.frames),
            ("samples_total", "counter", engine.samples),
            ("turns_total", "counter", engine.turns),
            ("turn_streams_total", "counter", engine.turned),
        ):
            lines += [f"# TYPE pyvoc_{name} {kind}", f"pyvoc_{name} {value}"]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def synthesize(self, request: Request) -> Response | _Speech:
        try:
            model, seed, speed = self._asked(request.query_params)
        except Error as error:
            return _refusal(400, str(error))
        width = 4 * model.info.layout_dims
        most = self._limits.utterance_frames * width
        if self.engine.full(self._reading):
            return _refusal(503, _FULL)
        self._reading += 1
        try:
            body = await asyncio.wait_for(_body(request, most), self._limits.patience_seconds)
        except (asyncio.TimeoutError, ClientDisconnect):
            return _refusal(408, "the body did not come")
        finally:
            self._reading -= 1
        if len(body) > most:
            return _refusal(413, f"more than {self._limits.utterance_frames} frames")
        try:
            rows = _frames(body, model)
            if not len(rows):
                raise FeatureError("the features hold no frames")
            job = self.engine.join(model, seed=seed, speed=speed)
        except Full:
            return _refusal(503, _FULL)
        except Error as error:
            return _refusal(400, str(error))
        job.push(rows)
        job.end()
        return _Speech(job, scaled_length(len(rows), speed), self._limits)

    async def stream(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            model, seed, speed = self._asked(socket.query_params)
            job = self.engine.join(model, seed=seed, speed=speed)
        except Full:
            await socket.close(_BUSY, _FULL)
            return
        except Error as error:
            await socket.close(_POLICY, _reason(error))
            return
        try:
            about = {**_about(model), "latency_samples": job.stream.latency_samples}
            await socket.send_text(json.dumps(about))
            await self._exchange(socket, job, model)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # the client has gone
        finally:
            job.close()

    async def _exchange(self, socket: WebSocket, job: Job, model: Model) -> None:
        """Frames in and samples out, until the end of both; the socket is closed with a reason."""
        both = [
            asyncio.create_task(self._receive(socket, job, model)),
            asyncio.create_task(self._send(socket, job)),
        ]
        tasks = set(both)
        code, reason = 1000, ""
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        except asyncio.TimeoutError:
            code, reason = _POLICY, "nothing was sent, or taken, for too long"
        except FeatureError as error:
            code, reason = _BAD, _reason(error)
        except Error as error:
            code, reason = _INTERNAL, _reason(error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)  # both fail of a client that went
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(socket.close(code, reason), 1.0)

    async def _receive(self, socket: WebSocket, job: Job, model: Model) -> None:
        while True:
            await job.room(self._limits.queued_frames)
            message = await asyncio.wait_for(socket.receive(), self._limits.patience_seconds)
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            data = message.get("bytes")
            if data is not None:
                job.push(_frames(data, model))
            elif message.get("text") == "end":
                job.end()
                return
            else:
                raise FeatureError('expected frames, or the text "end"')

    async def _send(self, socket: WebSocket, job: Job) -> None:
        while (piece := await job.pull()) is not None:
            await asyncio.wait_for(socket.send_bytes(piece), self._limits.patience_seconds)
        await socket.send_text(json.dumps({"samples": job.samples}))

    def _asked(self, query: QueryParams) -> tuple[Model, int, float]:
        unknown = sorted(set(query) - {"voice", "seed", "speed"})
        if unknown:
            raise Error("expected voice, seed and speed and nothing else")
        name = query.get("voice", next(iter(self._models)))
        if name not in self._models:
            raise Error(f"no such voice; there are {', '.join(self._models)}")
        try:
            seed, speed = as_seed(int(query.get("seed", "0"))), float(query.get("speed", "1"))
        except ValueError as error:
            raise Error("seed is no whole number, or speed is no number") from error
        return self._models[name], seed, as_speed(speed)


class _Speech:
    """A response: a wav whose samples are sent as they are made, to a client that takes them."""

    def __init__(self, job: Job, frames: int, limits: Limits) -> None:
        self._job, self._limits = job, limits
        info = job.stream.model.info
        self._header = wav_header(info.sample_rate, frames * info.hop_length)
        self._length = len(self._header) + 2 * frames * info.hop_length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"audio/wav"), (b"content-length", b"%d" % self._length)]
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            piece: bytes | None = self._header
            while piece is not None and not gone.done():
                part = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(part), self._limits.patience_seconds)
                piece = await self._job.pull()
            if piece is None:
                await send({"type": "http.response.body", "body": b""})
        except (asyncio.TimeoutError, OSError, Error):
            pass  # it is cut short, which its length says
        finally:
            gone.cancel()
            self._job.close()


async def _body(request: Request, most: int) -> bytes:
    """The body; of one that is longer than it may be, a piece that is too long as well."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            break
    return bytes(body)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _frames(data: bytes, model: Model) -> npt.NDArray[np.float32]:
    """Little-endian float32 frames, checked."""
    width = model.info.layout_dims
    if len(data) % (4 * width):
        raise FeatureError(f"{len(data)} bytes are no whole frames of {width} float32")
    return as_frames(np.frombuffer(data, "<f4").reshape(-1, width), model.info)


def _about(model: Model) -> dict[str, Any]:
    info = model.info
    return {
        "sample_rate": info.sample_rate,
        "hop_length": info.hop_length,
        "dims": info.layout_dims,
        "layout": info.feature_layout,
        "latency_samples": info.latency_samples,
    }


def _refusal(status: int, message: str) -> Response:
    headers = {"retry-after": "1"} if status == 503 else None
    return JSONResponse({"error": message}, status_code=status, headers=headers)


def _reason(error: Error) -> str:
    """A sentence that fits a closing message: 123 bytes."""
    return str(error).encode()[:120].decode(errors="ignore")
