"""``pyvoc train``: train, fine-tune or continue training a model."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
from typing import TYPE_CHECKING, Any

from pyvoc import families
from pyvoc.cli.doubtful import add_strict
from pyvoc.errors import Error
from pyvoc.files.outputs import check_outputs
from pyvoc.train.config import CONFIG, TrainConfig, layered
from pyvoc.train.requirements import require_torch
from pyvoc.train.yaml_text import read_value

if TYPE_CHECKING:
    from pyvoc.train.position import TrainResult

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  pyvoc train lpcnet --data wavs/ --validation held_out/ --config recipe.yaml --model-dir run1
  pyvoc train lpcnet --model-dir run1 --resume                 (all else as it was)
  pyvoc train lpcnet --features features.f32 --data data.u8 --batch-size 16 --epochs 120
  pyvoc train lpcnet --data wavs/ --finetune voice.gguf --lr 1e-4 --epochs 1 --start-epoch 121
  pyvoc train hifigan --data LJSpeech-1.1/wavs --config config_v1.json      (upstream's settings)
  pyvoc train hifigan --data wavs/ --mels gta/ --finetune g_02500000 --epochs 100
  pyvoc train waveglow --data_path wavs/ --output_directory run1 --c config.json --fp16_run
  torchrun --nproc-per-node 4 -m pyvoc train lpcnet --data wavs/ --batch-size 64

Settings come from the model's defaults, overlaid by --config, overlaid by flags. See
docs/training.md.
"""


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"'{text}' is neither true nor false")
    return words[text.lower()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no number") from None


_SWITCH: dict[str, Any] = {"type": _boolean, "nargs": "?", "const": True, "metavar": "True|False"}
_INT: dict[str, Any] = {"type": int, "metavar": "N"}
_FLOAT: dict[str, Any] = {"type": _number, "metavar": "X"}

_THEIRS = "their_"
"""Begins the places of flags that have an upstream's names."""

# flag -> (key of the settings, arguments of argparse)
_FLAGS: dict[str, tuple[str, dict[str, Any]]] = {
    "--data": (
        "data.path",
        {"metavar": "PATH", "help": "folder or list of audio files, or PCM of pyvoc dump-data"},
    ),
    "--features": (
        "data.features",
        {"metavar": "FILE.f32", "help": "features of pyvoc dump-data, where --data is its PCM"},
    ),
    "--mels": (
        "data.mels",
        {"metavar": "DIR", "help": "mels made elsewhere, beside the recordings of --data"},
    ),
    "--validation": (
        "data.validation",
        {"metavar": "PATH", "help": "held-out audio: folder or list"},
    ),
    "--model-dir": (
        "model_dir",
        {
            "metavar": "DIR",
            "help": "checkpoints, log, samples (default: --output, if that is a "
            "folder, else <model>_model)",
        },
    ),
    "--output": (
        "output",
        {
            "metavar": "MODEL.gguf",
            "help": "the finished model, or a folder for it (default: in the model dir)",
        },
    ),
    "--precision": (
        "precision",
        {"choices": ("f32", "bf16", "int8"), "help": "of exported models (default: f32)"},
    ),
    "--finetune": (
        "finetune",
        {
            "metavar": "FILE",
            "help": "start from a voice, a GGUF, a checkpoint of upstream's or of ours",
        },
    ),
    "--batch-size": (
        "batch_size",
        {**_INT, "help": "rows of a step, over all processes"},
    ),
    "--epochs": ("epochs", {**_INT, "help": "how many are trained"}),
    "--steps-per-epoch": ("steps_per_epoch", {**_INT, "help": "default: what the data has"}),
    "--start-epoch": (
        "start_epoch",
        {**_INT, "help": "number of the first epoch: shifts counters and schedules (default: 1)"},
    ),
    "--lr": ("lr", {**_FLOAT, "help": "learning rate at the start"}),
    "--schedule": (
        "schedule",
        {"choices": ("decay", "cosine", "epochs", "constant"), "help": "of the learning rate"},
    ),
    "--warmup-steps": ("warmup_steps", {**_INT, "help": "steps of rising learning rate"}),
    "--clip-grad": (
        "clip_grad",
        {**_FLOAT, "help": "greatest norm of the gradient"},
    ),
    "--device": ("device", {"metavar": "NAME", "help": "auto (default), cpu, cuda, npu, mlu, ..."}),
    "--threads": ("threads", {**_INT, "help": "CPU threads of each process"}),
    "--seed": ("seed", {**_INT, "help": "default: 0"}),
    "--max-minutes": ("max_minutes", {**_FLOAT, "help": "stop, with a checkpoint, after so long"}),
    "--checkpoint-every": ("checkpoint_every", {**_INT, "help": "steps between checkpoints"}),
    "--checkpoint-minutes": ("checkpoint_minutes", {**_FLOAT, "help": "the same in minutes"}),
    "--keep": ("keep", {**_INT, "help": "checkpoints that stay, beside the best (default: 3)"}),
    "--validate-every": ("validate_every", {**_INT, "help": "steps between validations"}),
    "--patience": ("patience", {**_INT, "help": "stop after N validations without a better one"}),
    "--log-every": ("log_every", {**_INT, "help": "steps between log entries (default: 10)"}),
    "--use-amp": ("use_amp", {**_SWITCH, "help": "mixed precision"}),
    "--amp-dtype": ("amp_dtype", {"choices": ("auto", "bf16", "fp16"), "help": "default: auto"}),
    "--enable-tensorboard": (
        "enable_tensorboard",
        {**_SWITCH, "help": "also write TensorBoard events"},
    ),
    "--use-performance": (
        "use_performance",
        {**_SWITCH, "help": "report throughput and end-to-end time at the end"},
    ),
}


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train, fine-tune or continue training a model",
        usage="pyvoc train MODEL [options]",
        description="Train a model; it ends in a GGUF file. Needs "
        "pip install 'pyvoc-vocoder[train]'. Ctrl-C finishes the step and writes a checkpoint.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    trained = [family.name for family in families.everyone() if family.trainer is not None]
    parser.add_argument("family", choices=trained, metavar="MODEL", help=", ".join(trained))
    parser.add_argument("--config", metavar="FILE.yaml", help="settings; flags override them")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other setting, e.g. --set model.gru_a=192 (the value is YAML)",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="latest",
        metavar="FILE",
        help="continue from a checkpoint: that file, the latest of --model-dir (default), or auto: "
        "the latest if there is one",
    )
    add_strict(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    for name, (_, options) in _FLAGS.items():
        # The underscored spelling is taken too, as training scripts elsewhere have it.
        parser.add_argument(name, default=None, **options)
        if "-" in name[2:]:
            alias = "--" + name[2:].replace("-", "_")
            hidden = {**options, "help": argparse.SUPPRESS, "default": argparse.SUPPRESS}
            parser.add_argument(alias, dest=name[2:].replace("-", "_"), **hidden)

    for name in sorted(
        {flag.name for family in families.everyone() for flag in family.train_flags}
    ):
        parser.add_argument(
            *dict.fromkeys((f"--{name.replace('_', '-')}", f"--{name}")),
            dest=f"{_THEIRS}{name}",
            nargs="?",
            const="True",
            help=argparse.SUPPRESS,
        )


def _their_flags(args: argparse.Namespace) -> dict[str, tuple[Any, str]]:
    """Flags by the names of an upstream's trainer, as `_flags`."""
    family = families.get(args.family)
    flags: dict[str, tuple[Any, str]] = {}
    for entry, text in vars(args).items():
        if not entry.startswith(_THEIRS) or text is None:
            continue
        name = f"--{entry.removeprefix(_THEIRS)}"
        flag = next((f for f in family.train_flags if f"--{f.name}" == name), None)
        if flag is None:
            raise Error(f"{name} is no flag of pyvoc train {args.family}")
        if flag.instead:
            raise Error(f"{name} is not taken; here that is: {flag.instead}")
        flags[flag.key] = _read(text, flag.key, name), name
    return flags


def _read(text: str, key: str, name: str) -> Any:
    """A value as our own flag of that key reads it; else as YAML."""
    own = next((options for other, options in _FLAGS.values() if other == key), {})
    if key != "config" and not own:
        return read_value(text, name)
    try:
        return own.get("type", str)(text)
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise Error(f"{name} {text}: {error}") from error


def _flags(args: argparse.Namespace) -> dict[str, tuple[Any, str]]:
    """The settings that were given as flags: key -> (value, name of the flag)."""
    flags: dict[str, tuple[Any, str]] = {"family": (args.family, "the command line")}
    for entry in args.set:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise Error(f"--set {entry}: expected KEY=VALUE")
        flags[key] = read_value(text, f"--set {key}"), f"--set {key}"
    for name, (key, _) in _FLAGS.items():
        value = getattr(args, name[2:].replace("-", "_"))
        if value is not None:
            if key in flags:
                raise Error(f"{name} and --set {key} are both given")
            flags[key] = value, name
    for key, given in _their_flags(args).items():
        if key in flags:
            raise Error(f"{given[1]} and {flags[key][1]} are both given")
        flags[key] = given
    return flags


def settings(args: argparse.Namespace) -> tuple[TrainConfig, str | None]:
    """The settings that the arguments mean, and the checkpoint to continue from.

    Raises
    ------
    Error
        They are wrong, or the checkpoint is.
    """
    flags = _flags(args)
    if "config" in flags:
        if args.config is not None:
            raise Error(f"{flags['config'][1]} and --config are both given")
        args.config = flags.pop("config")[0]
    config = layered(flags, config_file=args.config)
    require_torch()
    from pyvoc.train.session import find_checkpoint, stored_config

    found = find_checkpoint(config.folder, args.resume)
    if found is None:
        check_outputs([config.folder / CONFIG], inputs=[args.config])
        return config, None
    if "finetune" in flags:
        raise Error("--finetune starts a run and --resume continues one: leave one out")
    stored = stored_config(found)
    if stored.get("family") == args.family:
        config = layered(flags, config_file=args.config, stored=stored, stored_name=str(found))
    return config, str(found)


def run(args: argparse.Namespace) -> int:
    """Train and report; 130 or 143 after a signal."""
    config, resume = settings(args)
    from pyvoc.train import train

    result = train(config, resume=resume)
    if os.environ.get("RANK", "0") == "0":
        if config.use_performance:
            _write_performance(config, result)
        if args.json:
            print(json.dumps(dataclasses.asdict(result), indent=2))
        else:
            print("\n".join(summary(config, result)))
    if result.reason.startswith("SIG"):
        return 128 + int(getattr(signal, result.reason))
    return 0


def _write_performance(config: TrainConfig, result: TrainResult) -> None:
    from pyvoc.files.atomic import atomic_open

    with atomic_open(config.folder / "performance.json") as file:
        file.write((json.dumps(result.performance.to_dict(), indent=2) + "\n").encode())


def summary(config: TrainConfig, result: TrainResult) -> list[str]:
    """The result in lines for people."""
    loss = "" if result.loss is None else f", loss {result.loss:.4f}"
    best = "" if result.best_loss is None else f", best validation loss {result.best_loss:.4f}"
    lines = [f"{result.reason}: step {result.step} (epoch {result.epochs:.2f}){loss}{best}"]
    if result.model is not None:
        lines.append(f"model: {result.model}")
    if result.checkpoint:
        lines.append(f"checkpoint: {result.checkpoint}")
    if result.reason != "finished":
        folder = shlex.quote(str(config.folder))
        lines.append(f"to continue: pyvoc train {config.family} --model-dir {folder} --resume")
    if config.use_performance:
        lines += ["", result.performance.table()]
    return lines
