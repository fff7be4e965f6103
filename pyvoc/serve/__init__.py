"""A server: many clients' streams in one process; HTTP for utterances, WebSocket for frames.

:mod:`pyvoc.serve.engine` synthesises, streams of one model in lockstep; :mod:`pyvoc.serve.app` is
the ASGI application (extra ``serve``). docs/serve.md has the protocol.
"""

from pyvoc.serve.limits import Limits

__all__ = ["Limits"]
