"""The command line: parse, call one library function, print.

Exit codes: 0 done, 2 wrong usage, 3 bad input or output, 4 valid but not supported here, 130
interrupted. Each sub-command is a module here with ``add_parser(subparsers)`` and ``run(args)``;
only the one that was asked for is imported.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "synth": "speech from features, or a copy of speech through its features",
    "features": "extract a model's features from speech",
    "check-mel": "could this mel spectrogram be what a model reads?",
    "convert": "convert an upstream checkpoint to a model file",
    "voices": "the voices that -m takes by name: list, show, get, remove",
    "quantize": "make a model int8 after listening to speech",
    "info": "what this machine does; what is in a model, checkpoint, feature or audio file",
    "train": "train, fine-tune or continue training a model",
    "evaluate": "compare speech with its original; likelihood of speech under a model",
    "export": "write a model as an ONNX graph",
    "live": "microphone to loudspeaker through a model",
    "serve": "speech for many clients at once, over HTTP and WebSocket",
    "devices": "list the audio devices for pyvoc live",
    "bench": "measure speed on this machine",
    "dump-data": "make LPCNet training data from raw speech",
    "doctor": "check this installation",
}

OK, USAGE, BAD_INPUT, UNSUPPORTED, INTERRUPTED = 0, 2, 3, 4, 130
BROKEN_PIPE = 128 + getattr(signal, "SIGPIPE", 13)
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


class _Version(argparse.Action):
    """``--version``, which loads the compiled module only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import pyvoc

        print(f"pyvoc {pyvoc.__version__}")
        parser.exit()


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyvoc",
        description="Real-time neural vocoders on a CPU core.",
        epilog="Exit codes: 0 done, 2 usage, 3 bad input or output, 4 not supported here.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name != command:
            subparsers.add_parser(name, help=summary)
            continue
        module = importlib.import_module(f"pyvoc.cli.{name.replace('-', '_')}")
        module.add_parser(subparsers)
        subparsers.choices[name].set_defaults(run=module.run, parser=subparsers.choices[name])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv
        Arguments without the program's name; None takes the process's.

    Returns
    -------
    int
        The exit code.
    """
    from pyvoc.cli.doubtful import told
    from pyvoc.errors import Error, OptionError, UnsupportedError

    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        args = _parser(command).parse_args(arguments)
        with told(strict=getattr(args, "strict", False)):
            code = int(args.run(args) or 0)
        sys.stdout.flush()
        return code
    except OptionError as error:
        return _fail(str(error), USAGE)
    except UnsupportedError as error:
        return _fail(str(error), UNSUPPORTED)
    except Error as error:
        return _fail(str(error), BAD_INPUT)
    except BrokenPipeError:
        return _broken_pipe()
    except OSError as error:
        where = f"'{error.filename}': " if error.filename is not None else ""
        if not where and error.errno in _FULL:  # what writes a file names it
            where = "cannot write standard output: "
        _settle_output()
        return _fail(f"{where}{error.strerror or error}", BAD_INPUT)
    except MemoryError:
        return _fail("out of memory", BAD_INPUT)
    except ImportError as error:
        return _fail(f"{error}: run `pyvoc doctor`", UNSUPPORTED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _fail(message: str, code: int) -> int:
    print(f"pyvoc: {message}", file=sys.stderr)
    return code


def _broken_pipe() -> int:
    _forget_output()
    return BROKEN_PIPE


def _settle_output() -> None:
    """Write what waits for standard output, while its failure can still be passed over."""
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()


def _forget_output() -> None:
    """Keep Python from complaining at exit about output that cannot be written."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
