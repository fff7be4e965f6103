"""The settings of a training run: defaults, overlaid by a YAML file, overlaid by flags."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pyvoc import families
from pyvoc.errors import Error
from pyvoc.files.atomic import atomic_open
from pyvoc.train.mapping import from_mapping, read_yaml
from pyvoc.train.requirements import require

__all__ = ["CONFIG", "TrainConfig", "layered", "save_config"]

CONFIG = "config.yaml"
"""The settings that a run had, in its folder."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run.

    Steps count updates from epoch 1. Where nothing else is said, 0 turns a setting off.

    Parameters
    ----------
    family
        Model family.
    data, model
        The family's own settings, checked by it. Data: ``path``, ``features``, ``validation``, ...
    model_dir
        Folder for checkpoints, log, samples and config.yaml; empty: `output`, where that is a
        folder, else ``<family>_model``.
    output
        The finished model file, or a folder for it: a name that is one's, ends in ``/`` or has no
        suffix. Empty: in ``model_dir``.
    precision
        Of exported models.
    finetune
        Weights to start from: a voice by name, a GGUF, an upstream checkpoint, or a checkpoint of
        this program.
    batch_size
        Rows of the global batch, over all processes.
    epochs, steps_per_epoch, start_epoch
        `epochs` epochs are trained, the first of which has number `start_epoch` (from 1); that
        shifts counters, schedules and data. 0 steps per epoch: as many as the data has.
    lr, schedule, lr_decay, lr_gamma, lr_final, warmup_steps
        Learning rate, see `pyvoc.train.schedule`.
    clip_grad
        Greatest norm of the gradient.
    device
        ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``npu``, ``mlu`` or another accelerator.
    threads
        CPU threads of this process; 0 leaves it to PyTorch.
    use_amp, amp_dtype
        Mixed precision; ``auto`` is bf16 where the device has it, otherwise fp16.
    seed
        Of everything random.
    max_minutes
        Stop, with a checkpoint, after so many minutes of this session.
    checkpoint_every, checkpoint_minutes, keep
        A checkpoint after so many steps or minutes (whichever is first; both 0: each epoch), and
        how many of them are kept beside the best.
    export_checkpoints, samples
        A model file, and speech, with each checkpoint.
    validate_every
        Steps between validations; 0: each epoch.
    validation_rows
        Rows of a validation batch; 0: those of the training batch.
    best_after
        Steps before which no validation counts as the best (e.g. before pruning is complete).
    patience
        Stop after so many validations without a better one.
    log_every
        Steps between entries of the log.
    enable_tensorboard, use_performance
        Also write TensorBoard events; report throughput at the end.
    """

    family: str
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    model_dir: str = ""
    output: str = ""
    precision: Literal["f32", "bf16", "int8"] = "f32"
    finetune: str = ""
    batch_size: int = 16
    epochs: int = 120
    steps_per_epoch: int = 0
    start_epoch: int = 1
    lr: float = 1e-3
    schedule: Literal["decay", "cosine", "epochs", "constant"] = "decay"
    lr_decay: float = 5e-5
    lr_gamma: float = 0.999
    lr_final: float = 0.0
    warmup_steps: int = 0
    clip_grad: float = 0.0
    device: str = "auto"
    threads: int = 0
    use_amp: bool = False
    amp_dtype: Literal["auto", "bf16", "fp16"] = "auto"
    seed: int = 0
    max_minutes: float = 0.0
    checkpoint_every: int = 0
    checkpoint_minutes: float = 0.0
    keep: int = 3
    export_checkpoints: bool = True
    samples: bool = True
    validate_every: int = 0
    validation_rows: int = 0
    best_after: int = 0
    patience: int = 0
    log_every: int = 10
    enable_tensorboard: bool = False
    use_performance: bool = False

    @classmethod
    def of(cls, family: str, **values: Any) -> TrainConfig:
        """Settings with the family's own defaults, as ``pyvoc train`` has them, and `values`.

        Raises
        ------
        Error
            Values are unknown, of the wrong type, out of range or contradict each other.
        """
        return from_mapping(cls, {"family": family, **_defaults(family), **values}, "settings")

    def __post_init__(self) -> None:
        """Raise ValueError for values that are out of range or contradict each other."""
        at_least: dict[str, float] = dict.fromkeys(_NOT_NEGATIVE, 0)
        at_least |= dict.fromkeys(("batch_size", "epochs", "start_epoch", "keep", "log_every"), 1)
        for name, least in at_least.items():
            value = getattr(self, name)
            if value < least:
                raise ValueError(f"'{name}' is {value:g}, expected at least {least:g}")
        if not 0 < self.lr_gamma <= 1:
            raise ValueError(f"'lr_gamma' is {self.lr_gamma:g}, expected more than 0, at most 1")
        if not self.lr > 0:
            raise ValueError(f"'lr' is {self.lr:g}, expected more than 0")
        if self.lr_final > self.lr:
            raise ValueError(f"'lr_final' ({self.lr_final:g}) is greater than 'lr' ({self.lr:g})")
        if self.seed >= 1 << 63:
            raise ValueError(f"'seed' is {self.seed}, expected less than 2**63")
        if self.amp_dtype == "fp16" and self.device == "cpu":
            raise ValueError("'amp_dtype' is fp16 and 'device' is cpu: processors train in bf16")
        if self.samples and not self.export_checkpoints:
            raise ValueError(
                "'samples' needs 'export_checkpoints': the speech is that of the exported model"
            )

    @property
    def output_is_folder(self) -> bool:
        """Whether `output` names a folder and not a file."""
        path = Path(self.output)
        return bool(self.output) and (
            path.is_dir() or self.output.endswith("/") or (not path.suffix and not path.is_file())
        )

    @property
    def folder(self) -> Path:
        """Where checkpoints and logs go."""
        named = self.output if self.output_is_folder else f"{self.family}_model"
        return Path(self.model_dir or named)

    @property
    def target(self) -> Path:
        """The finished model file."""
        if self.output and not self.output_is_folder:
            return Path(self.output)
        return Path(self.output or self.folder) / f"{self.family}.gguf"

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(dataclasses.asdict(self))


_NOT_NEGATIVE = (
    *("steps_per_epoch", "lr_decay", "lr_final", "warmup_steps", "clip_grad", "threads", "seed"),
    *("max_minutes", "checkpoint_every", "checkpoint_minutes", "validate_every"),
    *("validation_rows", "best_after", "patience"),
)


def _defaults(family: object) -> Mapping[str, Any]:
    """What a family has other defaults for; `family` may not be one."""
    return next((f.training for f in families.everyone() if f.name == family), {})


def layered(
    flags: Mapping[str, tuple[Any, str]],
    *,
    config_file: str | None = None,
    stored: Mapping[str, Any] | None = None,
    stored_name: str = "",
) -> TrainConfig:
    """Settings from layers: flags, over a file, over those of a checkpoint, over the defaults.

    Parameters
    ----------
    flags
        Key -> (value, name of the flag). A key with a dot, e.g. ``data.path``, sets one entry of
        ``data`` or ``model``.
    config_file
        YAML (or JSON), ours or an upstream trainer's (`pyvoc.families.Family.recipes`).
    stored, stored_name
        Settings of a checkpoint that is continued, and its name for messages.

    Raises
    ------
    Error
        Unknown keys, wrong types, contradictory values, naming file and key.
    """
    named = flags["family"][0] if "family" in flags else None
    layers = [(dict(stored or {}), stored_name)]
    if config_file is not None:
        settings = _translated(read_yaml(config_file), named, config_file)
        named = named or settings.get("family")
        layers.append((settings, config_file))
    merged: dict[str, Any] = dict(_defaults(named)) if stored is None else {}
    sources: dict[str, str] = {}
    for settings, name in layers:
        for key, value in settings.items():
            old = merged.get(key)
            if key in _NESTED and isinstance(old, dict) and isinstance(value, dict):
                value = {**old, **value}
            merged[key], sources[str(key)] = value, name
    family = flags.get("family")
    if family and merged.get("family", family[0]) != family[0]:
        raise Error(
            f"{sources['family']}: 'family' is {merged['family']!r}, "
            f"but {family[1]} says {family[0]!r}"
        )
    for key, (value, name) in flags.items():
        outer, _, inner = key.partition(".")
        if inner:
            old = merged.get(outer)
            value = {**(old if isinstance(old, dict) else {}), inner: value}
        merged[outer] = value
        sources[outer] = f"{sources[outer]} and {name}" if inner and outer in sources else name
    where = " and ".join(dict.fromkeys(sources.values())) or "settings"
    return from_mapping(TrainConfig, merged, where, sources=sources)


def _translated(settings: dict[str, Any], family: object, path: str) -> dict[str, Any]:
    """The settings of a file in our terms, where they are those of an upstream trainer."""
    record = next((f for f in families.everyone() if f.name == family), None)
    if record is None or record.recipes is None:
        return settings
    found: dict[str, Any] | None = record.resolve(record.recipes)(settings, path)
    return settings if found is None else found


_NESTED = ("data", "model")


def save_config(config: TrainConfig, path: Path) -> None:
    """Write the settings as YAML that ``--config`` reads.

    Raises
    ------
    Error
        The operating system refused.
    """
    yaml = require("yaml", "writing settings")
    text = yaml.safe_dump(json.loads(config.to_json()), sort_keys=False, allow_unicode=True)
    with atomic_open(path) as file:
        file.write(text.encode())
