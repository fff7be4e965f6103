"""A training session: device, processes, family, weights to begin with; then the loop."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import pyvoc
from pyvoc import families, voices
from pyvoc.errors import Error, ModelError
from pyvoc.files.lock import locked
from pyvoc.files.outputs import check_outputs
from pyvoc.train import checkpoint as files
from pyvoc.train.config import CONFIG, TrainConfig, save_config
from pyvoc.train.device import Amp, choose_device, make_amp
from pyvoc.train.distributed import Ranks, local_rank, local_world_size, rank
from pyvoc.train.log import Log
from pyvoc.train.loop import Trainer
from pyvoc.train.position import Position, TrainResult, seed_step
from pyvoc.train.prefetch import to_device
from pyvoc.train.stop import StopRequest
from pyvoc.train.task import Data, State, Task

__all__ = ["find_checkpoint", "run", "stored_config"]

# What a resumed run cannot change: the carried state and the counters would not fit.
_FIXED = ("family", "batch_size", "start_epoch")


def find_checkpoint(folder: Path, resume: str | None) -> Path | None:
    """The checkpoint that `resume` means.

    Parameters
    ----------
    folder
        ``model_dir``.
    resume
        A file, ``latest``, ``auto`` (the latest if there is one), or None for a new run.

    Raises
    ------
    Error
        It is not there; or a new run would write into the folder of an old one.
    """
    if resume is not None and resume not in ("latest", "auto"):
        if not Path(resume).is_file():
            raise Error(f"cannot resume from '{resume}': there is no such file")
        return Path(resume)
    latest = files.Folder(folder, 1).latest()
    if resume == "latest" and latest is None:
        raise Error(f"cannot resume: '{folder}' has no checkpoint")
    if resume is None and latest is not None:
        raise Error(
            f"'{folder}' has the checkpoint '{latest.name}' already: add --resume to continue "
            "from it, or choose another --model-dir"
        )
    return latest


def stored_config(path: Path) -> dict[str, Any]:
    """The settings that a checkpoint was written with."""
    return files.parse(files.read_bytes(path), str(path)).config


def run(config: TrainConfig, *, resume: str | None = None) -> TrainResult:
    """Train; see `pyvoc.train.train`."""
    if rank() != 0:  # which writes nothing
        return _run_in(config, resume)
    if config.output_is_folder and not config.model_dir:
        print(
            f"pyvoc train: '{config.output}' is a folder: checkpoints and log go there too "
            "(--model-dir names another)",
            file=sys.stderr,
            flush=True,
        )
    data = [value for value in config.data.values() if isinstance(value, str)]
    check_outputs([config.target], inputs=[config.finetune, resume, *data])
    with locked(config.folder):
        return _run_in(config, resume)


def _run_in(config: TrainConfig, resume: str | None) -> TrainResult:
    """Train in a folder that is this run's alone."""
    found = find_checkpoint(config.folder, resume)
    stored = files.parse(files.read_bytes(found), str(found)) if found else None
    if stored:
        _check_same(config, stored, str(found))
    if config.threads:
        torch.set_num_threads(config.threads)
    device = choose_device(config.device, local_rank=local_rank(), local_world=local_world_size())
    amp = make_amp(config, device)
    with Ranks(device) as ranks:
        ranks.slice(config.batch_size)
        return _run(config, ranks, amp, stored, found)


def _run(
    config: TrainConfig,
    ranks: Ranks,
    amp: Amp,
    stored: files.Checkpoint | None,
    found: Path | None,
) -> TrainResult:
    seed_step(config.seed, -1, 0)
    task, data = _build(config)
    module = task.module.to(amp.device)
    if config.finetune and stored is None:
        for note in _finetune(config, task):
            if ranks.writes:
                print(f"pyvoc train: {note}", file=sys.stderr, flush=True)
    optimizers = task.optimizers(config.lr)
    epoch = config.steps_per_epoch or data.steps_per_epoch
    if epoch < 1:
        raise Error("the training data is less than one batch")
    first = (config.start_epoch - 1) * epoch
    position = Position(first, first, first + config.epochs * epoch, epoch)
    _check_schedule(config, position)
    state = task.initial_state(config.batch_size)
    if stored is not None:
        source = str(found)
        files.load_into(module, stored.module, source)
        _load_optimizers(optimizers, stored.optimizers, source)
        _load_task(task, stored.task, source)
        state = _checked_state(state, stored.state, source)
        _load_progress(position, amp, stored, source)
    ranks.share(module)
    found_data = _describe_data(data)
    if ranks.writes and found_data:
        print(f"pyvoc train: {found_data['summary']}", file=sys.stderr, flush=True)
    rows = ranks.slice(config.batch_size)
    mine = {name: tensor[rows.start : rows.stop] for name, tensor in state.items()}
    if ranks.writes:
        save_config(config, config.folder / CONFIG)
    log = Log(
        config.folder if ranks.writes else None,
        tensorboard=config.enable_tensorboard,
        step=position.step,
    )
    try:
        log.write(
            "start",
            position.step,
            epoch=position.epoch,
            last_step=position.last,
            steps_per_epoch=epoch,
            resumed=str(found) if found else None,
            changed=_changes(config, stored),
            device=str(amp.device),
            processes=ranks.size,
            threads=torch.get_num_threads(),
            precision=amp.name,
            parameters=sum(p.numel() for p in module.parameters()),
            torch=torch.__version__,
            pyvoc=pyvoc.__version__,
            python=platform.python_version(),
            config=json.loads(config.to_json()),
            data=found_data,
        )
        trainer = Trainer(
            config,
            task,
            data,
            optimizers=optimizers,
            state=to_device(mine, amp.device),
            position=position,
            ranks=ranks,
            amp=amp,
        )
        with StopRequest() as stop:
            return replace(trainer.run(log, stop), data=found_data)
    finally:
        log.close()


def _describe_data(data: Data) -> dict[str, Any]:
    """What speech was found, for the log, the result and the user; empty for dumped data."""
    corpus = getattr(data, "corpus", None)
    if corpus is None:
        return {}
    report = corpus.report
    trained = sum(len(speech.clips) for speech in corpus.train)
    return {
        "summary": f"{report}; {trained} clips to train on, {len(corpus.validation)} to validate",
        "clips": report.clips,
        "seconds": round(report.seconds, 3),
        "resampled": {str(rate): count for rate, count in sorted(report.resampled.items())},
        "left_out": report.counts,
        "warnings": list(report.warnings),
    }


def _changes(config: TrainConfig, stored: files.Checkpoint | None) -> list[str]:
    """Settings that differ from the checkpoint's."""
    if stored is None:
        return []
    now = json.loads(config.to_json())
    return sorted(key for key in now if now[key] != stored.config.get(key))


def _check_same(config: TrainConfig, stored: files.Checkpoint, source: str) -> None:
    if stored.family != config.family:
        raise ModelError(
            f"'{source}' is a checkpoint of a {stored.family} model, expected {config.family}"
        )
    for key in _FIXED:
        now, old = getattr(config, key), stored.config.get(key)
        if now != old:
            raise Error(
                f"cannot resume from '{source}' with '{key}' {now}: it was {old}; "
                "--finetune starts a new run from its weights"
            )


def _check_schedule(config: TrainConfig, position: Position) -> None:
    if config.warmup_steps >= position.last:
        raise Error(
            f"'warmup_steps' is {config.warmup_steps}, but the run ends at step {position.last}"
        )
    if config.best_after >= position.last:
        raise Error(
            f"'best_after' is {config.best_after}, but the run ends at step {position.last}"
        )


def _finetune(config: TrainConfig, task: Task) -> Sequence[str]:
    """Weights from another run or program; counters and optimizers begin anew."""
    path = voices.resolve(config.finetune)
    if not files.is_checkpoint(path):
        return task.load_weights(path)
    old = files.parse(files.read_bytes(path), path)
    if old.family != config.family:
        raise ModelError(f"'{path}' holds a {old.family} model, expected {config.family}")
    files.load_into(task.module, old.module, path)
    _load_task(task, old.task, path)
    return ()


def _load_task(task: Task, state: Mapping[str, Any], source: str) -> None:
    try:
        task.load_state_dict(state)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"'{source}' is a checkpoint of another model: {error}") from error


def _load_optimizers(
    optimizers: Mapping[str, torch.optim.Optimizer],
    states: Mapping[str, Mapping[str, Any]],
    source: str,
) -> None:
    if optimizers.keys() != states.keys():
        raise ModelError(
            f"'{source}' has the optimizers {', '.join(sorted(states))}, "
            f"expected {', '.join(sorted(optimizers))}"
        )
    for name, optimizer in optimizers.items():
        _load_optimizer(optimizer, states[name], source)


def _load_optimizer(
    optimizer: torch.optim.Optimizer, state: Mapping[str, Any], source: str
) -> None:
    """Fill the optimizer, once every tensor has the size of its parameter (or is a scalar)."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    try:
        groups, entries = state["param_groups"], state["state"]
        if [len(g["params"]) for g in groups] != [
            len(g["params"]) for g in optimizer.param_groups
        ] or sorted(i for g in groups for i in g["params"]) != list(range(len(parameters))):
            raise ValueError("other parameter groups")
        for index, values in entries.items():
            for name, value in values.items():
                tensor = isinstance(value, torch.Tensor)
                if tensor and value.numel() != 1 and value.shape != parameters[index].shape:
                    raise ValueError(f"'{name}' of parameter {index} has shape {value.shape}")
        fused = [group["fused"] for group in optimizer.param_groups]
        optimizer.load_state_dict(dict(state))
        for group, value in zip(optimizer.param_groups, fused, strict=True):
            group["fused"] = value  # belongs to the device, not to the run
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"'{source}': its optimizer state does not fit: {error}") from error


def _checked_state(expected: State, found: State, source: str) -> State:
    """The carried state of a checkpoint, if it is of this model and batch."""
    for name in sorted(expected.keys() | found.keys()):
        old, new = found.get(name), expected.get(name)
        if old is None or new is None or old.shape != new.shape or old.dtype != new.dtype:
            raise ModelError(
                f"'{source}': its recurrent state '{name}' is "
                f"{'missing' if old is None else [*old.shape]}, "
                f"expected {'none' if new is None else [*new.shape]}"
            )
    return found


def _load_progress(position: Position, amp: Amp, stored: files.Checkpoint, source: str) -> None:
    if not position.first <= stored.step:
        raise ModelError(f"'{source}' is at step {stored.step}, before {position.first}")
    progress = stored.progress
    try:
        position.step = stored.step
        position.last = max(position.last, stored.step)
        position.best = float(progress["best"])
        position.worse = int(progress["worse"])
        position.owed = bool(progress.get("owed", False))
        position.seconds = float(progress["seconds"])
        if amp.scaler and progress["scaler"]:
            amp.scaler.load_state_dict(progress["scaler"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"'{source}' is damaged: its progress is unreadable: {error}") from error
    position.checkpoint = source


def _build(config: TrainConfig) -> tuple[Task, Data]:
    """What the family learns, and from what; it may refuse its settings or its data."""
    known = [family for family in families.everyone() if family.trainer is not None]
    family = next((family for family in known if family.name == config.family), None)
    if family is None or family.trainer is None:
        names = ", ".join(family.name for family in known)
        raise Error(f"there is no model family '{config.family}' to train; known are {names}")
    task: Task
    data: Data
    task, data = family.resolve(family.trainer)(config)
    return task, data
