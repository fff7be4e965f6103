"""Learning rates: a pure function of the step."""

from __future__ import annotations

import math

from pyvoc.train.config import TrainConfig

__all__ = ["learning_rate"]


def learning_rate(config: TrainConfig, step: int, total: int, *, epoch: int) -> float:
    """The rate of an update.

    ``decay`` is the upstream LPCNet trainer's (Keras' time-based decay), lr / (1 + decay step);
    ``cosine`` falls from lr to ``lr_final`` at the end; ``epochs`` is lr * gamma ** (whole epochs
    done), as upstream's HiFi-GAN has it; ``constant`` stays. Each begins with ``warmup_steps``
    steps that rise linearly.

    Parameters
    ----------
    config
        The settings.
    step
        Updates before this one, 0 ... total - 1.
    total
        Updates of the whole run, counted from epoch 1.
    epoch
        Updates of an epoch.
    """
    warmup = config.warmup_steps
    scale = min(1.0, (step + 1) / warmup) if warmup else 1.0
    if config.schedule == "decay":
        return scale * config.lr / (1.0 + config.lr_decay * step)
    if config.schedule == "epochs":
        return float(scale * config.lr * config.lr_gamma ** (step // epoch))
    if config.schedule == "cosine" and step >= warmup:
        progress = min(1.0, (step - warmup) / max(1, total - 1 - warmup))
        wave = 0.5 + 0.5 * math.cos(math.pi * progress)
        return config.lr_final + (config.lr - config.lr_final) * wave
    return scale * config.lr
