"""The application on a socket, and what a connection may hold on to before it is a stream.

uvicorn bounds what a request may be. What it leaves open is bounded here: a request that does not
come, a peer that takes nothing of what was written, and pings without end whose answers nobody
reads. A WebSocket is not pinged: a client that sent much at once has its answer behind that, and
would be taken for dead; who has really gone is known by the same bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from pyvoc.serve.limits import Limits

__all__ = ["listen", "server"]

_UNTAKEN = 1 << 20
"""Bytes written to one connection that wait; samples never are as many."""


def listen(host: str, port: int, limits: Limits) -> socket.socket:
    """A listening socket.

    Raises
    ------
    OSError
        There is none to be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=1024)
    # A connection that is closed while bytes wait would stay until the peer takes them. The kernel
    # ends it instead, where it can; connections have this from the socket that accepts them.
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        with contextlib.suppress(OSError):
            milliseconds = int(1000 * limits.patience_seconds)
            listening.setsockopt(socket.IPPROTO_TCP, option, milliseconds)
    return listening


def server(app: Starlette, limits: Limits) -> uvicorn.Server:
    """The server of an application; its ``run`` takes the socket.

    Parameters
    ----------
    app
        Of :func:`pyvoc.serve.app.application`.
    limits
        The application's.
    """

    class Http(_Http):
        patience = limits.patience_seconds

    config = uvicorn.Config(
        app,
        log_level="warning",
        http=Http,
        ws=_WebSocket,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        limit_concurrency=2 * limits.streams + 64,
    )
    return uvicorn.Server(config)


class _Http(H11Protocol):
    """Closed where no request has come whole, its body excepted, after so many seconds."""

    patience: float
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._asked():
            self._stop()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _asked(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(self.patience, self._late)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _late(self) -> None:
        self._waiting = None
        mine = self.transport.get_protocol() is self  # it has become no WebSocket
        if mine and not self._asked():
            self.transport.abort()


class _WebSocket(WebSocketsSansIOProtocol):
    """Gone where what it makes the server answer is not taken."""

    def data_received(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size() > _UNTAKEN:
            self.transport.abort()
            return
        super().data_received(data)
