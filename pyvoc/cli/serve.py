"""``pyvoc serve``: speech for many clients at once."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pyvoc
from pyvoc.cli.arguments import whole
from pyvoc.errors import Error, UnsupportedError
from pyvoc.runtime.cores import allowed
from pyvoc.serve.limits import Limits
from pyvoc.voices import DEFAULT

__all__ = ["add_parser", "run"]


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="speech for many clients at once, over HTTP and WebSocket",
        description="Serve models to many clients at once: POST /synthesize takes frames and gives "
        "a wav, the WebSocket /stream takes frames and gives PCM as it is made. Streams of one "
        "model go in lockstep.",
        epilog="example: pyvoc serve -m default & curl --data-binary @speech.f32 "
        "'http://127.0.0.1:8600/synthesize?seed=1' -o out.wav",
    )
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        metavar="MODEL",
        help="a voice or a .gguf file, which clients call by its name without folder and suffix; "
        f"may be repeated; default: {DEFAULT}",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    parser.add_argument("--port", type=whole(0, 65535), default=8600, metavar="N")
    parser.add_argument(
        "--streams",
        type=whole(1, 65536),
        default=Limits.streams,
        metavar="N",
        help=f"at once; one more is refused; default: {Limits.streams}",
    )
    parser.add_argument(
        "--threads",
        type=whole(1, 64),
        metavar="N",
        help="that synthesise; default: one per core",
    )
    parser.add_argument("--json", action="store_true", help="print what is served as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; raises :class:`pyvoc.Error`."""
    for module in ("starlette", "uvicorn", "websockets"):
        if importlib.util.find_spec(module) is None:
            raise UnsupportedError(
                f"pyvoc serve needs {module}: pip install 'pyvoc-vocoder[serve]'"
            )
    from pyvoc.serve.app import application
    from pyvoc.serve.server import listen, server

    models: dict[str, pyvoc.Model] = {}
    for name in args.model or [DEFAULT]:
        called = Path(name).stem
        if called in models:
            args.parser.error(f"two models would be called '{called}'")
        models[called] = pyvoc.load(name)
    limits = Limits(streams=args.streams)
    threads = args.threads or min(len(allowed()), 64)
    app = application(models, limits=limits, threads=threads)
    try:
        listening = listen(args.host, args.port, limits)
    except OSError as error:
        raise Error(f"cannot listen on {args.host}:{args.port}: {error.strerror}") from error
    port = listening.getsockname()[1]
    served = {"host": args.host, "port": port, "voices": list(models), "threads": threads}
    if args.json:
        print(json.dumps(served), flush=True)
    else:
        print(f"{args.host}:{port}: {', '.join(models)} ({threads} threads)", file=sys.stderr)
    server(app, limits).run(sockets=[listening])
    return 0
