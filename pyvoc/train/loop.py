"""The training loop. It knows no model: see `pyvoc.train.task` for what it asks of one.

A run is a function of its settings: the batch is a function of the step, PyTorch's generators are
seeded from (seed, step, process) in each, and all that one step leaves to the next is in the
checkpoint. So a run that was interrupted and resumed equals one that was not, bit for bit on the
same machine with the same number of threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from pyvoc.errors import Error
from pyvoc.train.checkpoint import Checkpoint, Folder
from pyvoc.train.config import TrainConfig
from pyvoc.train.device import Amp
from pyvoc.train.distributed import Ranks
from pyvoc.train.log import Log, Progress
from pyvoc.train.performance import Clock
from pyvoc.train.position import Position, TrainResult, seed_step
from pyvoc.train.prefetch import Prefetcher
from pyvoc.train.publish import Publisher
from pyvoc.train.schedule import learning_rate
from pyvoc.train.stop import StopRequest
from pyvoc.train.task import Data, Loss, Task
from pyvoc.train.validation import validate

__all__ = ["Trainer"]

_STOPPED, _OUT_OF_TIME, _DUE = range(3)


class Trainer:
    """One session of a run; the module, the optimizers and the state are loaded already.

    Parameters
    ----------
    config, task, data
        What to train.
    optimizers
        Over the task's module, on its device, by name; the first one's loss is the run's.
    state
        Carried state of this process's rows, on the device.
    position
        Where to begin.
    ranks, amp
        The processes, and mixed precision.
    """

    def __init__(
        self,
        config: TrainConfig,
        task: Task,
        data: Data,
        *,
        optimizers: Mapping[str, torch.optim.Optimizer],
        state: dict[str, torch.Tensor],
        position: Position,
        ranks: Ranks,
        amp: Amp,
    ) -> None:
        self._config, self._task, self._data = config, task, data
        self._optimizers, self._state, self._position = optimizers, state, position
        self._ranks, self._amp = ranks, amp
        self._rows = ranks.slice(config.batch_size)
        self._first = next(iter(optimizers))
        self._folder = Folder(config.folder, config.keep)
        per_row = int(getattr(data, "samples_per_row", 1))
        self._clock = Clock(config.batch_size * per_row)
        self._saved_at = 0.0
        self._losses: dict[str, list[float]] = {name: [] for name in optimizers}
        self._last_loss: float | None = None

    def run(self, log: Log, stop: StopRequest) -> TrainResult:
        """Train until the end, or until something stops it.

        Raises
        ------
        Error
            The loss became NaN, or a checkpoint could not be written.
        """
        position, config = self._position, self._config
        self._log = log
        progress = Progress(position.last, position.step, shown=self._ranks.writes)
        self._publisher = Publisher(config, self._task, log, progress.say)
        self._task.module.train()
        reason = ""
        end = position.last
        with Prefetcher(self._data, self._rows, end, self._amp.device) as batches:
            try:
                if position.owed:
                    reason = self._validate(stop)
                    self._save(publish=not stop.name)
                while position.step < end and not reason:
                    figures, flags = self._step(batches, stop)
                    reason = self._reason(stop, flags)
                    progress.update(**figures)
                    if figures and self._ranks.writes:
                        self._say_line(progress, figures)
                    position.owed = self._validation_due()
                    if position.owed and not reason:
                        reason = self._validate(stop)
                    if reason or self._due(flags):
                        self._save(publish=not flags[_STOPPED] and not stop.name)
            finally:
                progress.close()
        return self._finish(reason or "finished")

    def _step(self, batches: Prefetcher, stop: StopRequest) -> tuple[dict[str, float], list[float]]:
        """One update; the figures that were logged, and what all processes agreed to do next."""
        config, position, ranks = self._config, self._position, self._ranks
        begin = time.perf_counter()
        batch = batches.get(position.step)
        waited = time.perf_counter() - begin
        epoch = position.steps_per_epoch
        rate = learning_rate(config, position.step, position.last, epoch=epoch)
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("lr_scale", 1.0)
        seed_step(config.seed, position.step, ranks.rank)
        metrics: dict[str, torch.Tensor] = {}
        norms: dict[str, float] = {}
        losses = self._task.losses(batch, self._state)
        while True:
            with self._amp.autocast():
                loss = next(losses, None)
            if loss is None:
                break
            mean, norms[loss.optimizer], flags = self._minimise(loss, batch, stop)
            self._losses[loss.optimizer].append(mean)
            if loss.optimizer == self._first:
                self._last_loss = mean
            metrics |= loss.metrics
            state = loss.state
        position.step += 1
        extra = self._task.after_update(position.step)
        self._state = {name: tensor.detach() for name, tensor in state.items()}
        seconds = time.perf_counter() - begin
        position.seconds += seconds
        self._clock.add(seconds, waited)
        figures: dict[str, float] = {}
        if position.step % config.log_every == 0 or position.step == position.last:
            names = sorted(metrics)
            sums = ranks.sum([float(metrics[name].detach()) for name in names])
            for name in norms:  # a step may leave an optimizer out
                values = self._losses[name]
                ending = "" if name == self._first else f"_{name}"
                figures[f"loss{ending}"] = math.fsum(values) / len(values)
                figures[f"grad_norm{ending}"] = norms[name]
                values.clear()
            figures |= {"lr": rate, "samples_per_s": self._clock.lap()}
            figures |= {name: value / ranks.size for name, value in zip(names, sums, strict=True)}
            figures |= {name: float(value) for name, value in extra.items()}
            self._log.write("step", position.step, epoch=position.epoch, **figures)
        return figures, flags

    def _minimise(
        self, loss: Loss, batch: dict[str, torch.Tensor], stop: StopRequest
    ) -> tuple[float, float, list[float]]:
        """One loss's update: its mean over the processes, the gradient's norm, the flags."""
        ranks, scaler, optimizer = self._ranks, self._amp.scaler, self._optimizers[loss.optimizer]
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss.value) if scaler else loss.value)
        total, *flags = ranks.sum([float(loss.value.detach()), *self._flags(stop)])
        mean = total / ranks.size
        if not math.isfinite(mean):
            self._fail(f"{self._named(loss)} is {mean}", batch, loss)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        ranks.average(parameters)
        return mean, self._update(loss, optimizer, parameters, batch), flags

    def _named(self, loss: Loss) -> str:
        return "loss" if len(self._optimizers) == 1 else f"{loss.optimizer}'s loss"

    def _update(
        self,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        parameters: list[torch.nn.Parameter],
        batch: dict[str, torch.Tensor],
    ) -> float:
        """Clip, check and apply the gradients; their norm."""
        scaler = self._amp.scaler
        if scaler:
            scaler.unscale_(optimizer)
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = torch.nn.utils.get_total_norm(gradients)
        norm = float(total)
        if not math.isfinite(norm) and not scaler:
            self._fail(f"gradient's norm of the {self._named(loss)} is {norm}", batch, loss)
        if self._config.clip_grad:
            torch.nn.utils.clip_grads_with_norm_(parameters, self._config.clip_grad, total)
        if scaler:
            scaler.step(optimizer)  # leaves the update out when a gradient overflowed
            scaler.update()
        else:
            optimizer.step()
        return norm

    def _flags(self, stop: StopRequest) -> list[float]:
        """What this process wants done after the step; rank 0's clock counts."""
        config, now = self._config, self._clock.elapsed()
        first = self._ranks.writes
        over = first and 0 < config.max_minutes * 60 <= now
        due = first and 0 < config.checkpoint_minutes * 60 <= now - self._saved_at
        return [float(bool(stop.name)), float(over), float(due)]

    def _reason(self, stop: StopRequest, flags: list[float]) -> str:
        if flags[_STOPPED]:
            return stop.name or "SIGTERM"
        return "max_minutes" if flags[_OUT_OF_TIME] else ""

    def _due(self, flags: list[float]) -> bool:
        config, position = self._config, self._position
        every = config.checkpoint_every
        if not every and not config.checkpoint_minutes:
            every = position.steps_per_epoch
        regular = every and position.step % every == 0
        return bool(regular or flags[_DUE] or position.step == position.last)

    def _validation_due(self) -> bool:
        position = self._position
        every = self._config.validate_every or position.steps_per_epoch
        return position.step % every == 0 or position.step == position.last

    def _validate(self, stop: StopRequest) -> str:
        """Validate; what ends the run: ``early_stop``, or a signal that broke it off."""
        config, position = self._config, self._position
        begin = time.perf_counter()
        found: dict[str, float] | None = {}
        if self._ranks.writes:
            rows = config.validation_rows or config.batch_size
            device = self._amp.device
            found = validate(self._task, self._data, rows, device, stopped=lambda: bool(stop.name))
        broken_off = found is None
        found = found or {}
        has, loss, owed = self._ranks.first(
            [float(bool(found)), found.get("loss", 0.0), float(broken_off)]
        )
        position.owed = bool(owed)
        if owed:
            return stop.name or "SIGTERM"
        if not has:
            if config.patience:
                raise Error("'patience' is set, but there is no held-out data to validate on")
            return ""
        if not math.isfinite(loss):
            self._fail(f"validation loss is {loss}", None)
        better = position.step >= config.best_after and loss < position.best
        if position.step >= config.best_after:
            position.best, position.worse = min(loss, position.best), position.worse + 1
        if better:
            position.worse = 0
        seconds = time.perf_counter() - begin
        self._log.write(
            "validation", position.step, epoch=position.epoch, **found, best=better, seconds=seconds
        )
        if better:
            checkpoint = self._checkpoint()
            if self._ranks.writes:
                self._publisher.best(self._folder, checkpoint)
            position.checkpoint = position.checkpoint or str(self._folder.best)
        return "early_stop" if 0 < config.patience <= position.worse else ""

    def _checkpoint(self) -> Checkpoint:
        """All that the next step depends on. Every process must call it."""
        position, scaler = self._position, self._amp.scaler
        progress: dict[str, Any] = {
            "best": position.best,
            "worse": position.worse,
            "owed": position.owed,
            "seconds": position.seconds,
            "scaler": scaler.state_dict() if scaler else {},
        }
        return Checkpoint(
            family=self._config.family,
            step=position.step,
            config=json.loads(self._config.to_json()),
            module=self._task.module.state_dict(),
            optimizers={name: o.state_dict() for name, o in self._optimizers.items()},
            task=self._task.state_dict(),
            state=self._ranks.gather_rows(self._state),
            progress=progress,
        )

    def _save(self, *, publish: bool) -> None:
        checkpoint = self._checkpoint()
        self._saved_at = self._clock.elapsed()
        path = self._folder.name(checkpoint.step)
        if self._ranks.writes:
            self._folder.save(checkpoint)
            self._log.write("checkpoint", checkpoint.step, file=path.name)
            self._log.sync()
            if publish:
                self._publisher.publish(path, checkpoint.step)
        self._position.checkpoint = str(path)

    def _fail(
        self, what: str, batch: dict[str, torch.Tensor] | None, loss: Loss | None = None
    ) -> None:
        """Stop because of NaN or infinity; the files are as the last checkpoint left them."""
        number = self._position.step + (batch is not None)
        where = f"step {number}"
        if batch is not None and loss is not None:
            bad = self._bad_rows(batch, loss.optimizer)
            listed = f"0 to {self._config.batch_size - 1}"
            if bad:
                listed = ", ".join(map(str, bad[:10])) + (", ..." if len(bad) > 10 else "")
            where += f", rows {listed} of the batch"
        self._log.write("failure", number, what=what, where=where)
        last = "no checkpoint was written yet"
        if self._position.checkpoint:
            last = f"the last good checkpoint is '{self._position.checkpoint}'"
        raise Error(
            f"training stopped: the {what} ({where}); {last}. Try a smaller lr, or clip_grad"
        )

    def _bad_rows(self, batch: dict[str, torch.Tensor], optimizer: str) -> list[int]:
        """Rows of the global batch whose loss alone is not finite; every process must call it."""
        bad = [0.0] * self._config.batch_size
        for index, row in enumerate(self._rows):
            one = slice(index, index + 1)
            try:
                with torch.no_grad(), self._amp.autocast():
                    losses = self._task.losses(
                        {name: tensor[one] for name, tensor in batch.items()},
                        {name: tensor[one] for name, tensor in self._state.items()},
                    )
                    values = [loss.value for loss in losses if loss.optimizer == optimizer]
                bad[row] = float(not all(bool(torch.isfinite(value)) for value in values))
            except (RuntimeError, ValueError):
                break  # a task that does not take single rows
        return [row for row, value in enumerate(self._ranks.sum(bad)) if value]

    def _say_line(self, progress: Progress, figures: Mapping[str, float]) -> None:
        """What the task wants said of a step that was logged, as its upstream's log has it."""
        line = getattr(self._task, "log_line", None)
        if line is not None:
            position = self._position
            seconds = position.seconds / max(1, position.step - position.first)
            progress.say(line(position.epoch, position.step, figures, seconds))

    def _finish(self, reason: str) -> TrainResult:
        config, position = self._config, self._position
        model: str | None = None
        if self._ranks.writes and not reason.startswith("SIG"):
            model = self._publisher.export(config.target, position.checkpoint, position.step)
        performance = self._clock.report(
            family=config.family,
            device=self._amp.device.type,
            processes=self._ranks.size,
            batch_size=config.batch_size,
            precision=self._amp.name,
        )
        result = TrainResult(
            reason=reason,
            step=position.step,
            epochs=position.step / position.steps_per_epoch,
            loss=self._last_loss,
            best_loss=position.best if math.isfinite(position.best) else None,
            checkpoint=position.checkpoint,
            model=model,
            performance=performance,
        )
        self._log.write("end", position.step, reason=reason, **performance.to_dict())
        self._log.sync()
        return result
