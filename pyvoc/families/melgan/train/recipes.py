"""Settings files of upstream trainers (MindSpore's, seungwonpark's, descript's) in our terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyvoc.errors import Error

_MINDSPORE_IDLE = frozenset(
    (
        *("momentum", "segment_length", "eval_length", "eval_model_path", "output_path"),
        *("enable_modelarts", "data_url", "train_url", "checkpoint_url", "checkpoint_file_path"),
        *("device_target", "device_id", "run_distribute", "rank", "group_size", "load_path"),
        *("need_modelarts_dataset_unzip", "modelarts_dataset_unzip_name", "file_name"),
        *("file_format", "enable_profiling"),
    )
)
_DESCRIPT_IDLE = frozenset(("cond_disc", "n_test_samples", "downsamp_factor"))


def translate(settings: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """An upstream's settings in our terms; None where the file is ours.

    Parameters
    ----------
    settings
        MindSpore's ``config.yaml``, seungwonpark's ``config/*.yaml`` or descript's ``args.yml``.
    path
        The file, for messages.

    Raises
    ------
    Error
        It has keys that the upstream's trainer does not know, or a setting that ours lacks.
    """
    if "lr_g" in settings:
        return _mindspore(_Taken(settings, "MindSpore's MelGAN", path))
    if "n_layers_D" in settings:
        return _descript(_Taken(settings, "descript's MelGAN", path))
    if isinstance(settings.get("audio"), Mapping) and isinstance(settings.get("train"), Mapping):
        return _seungwonpark(settings, path)
    return None


class _Taken:
    """Settings that are taken one after the other, so that what is left over is known."""

    def __init__(self, settings: Mapping[str, Any], whose: str, path: str) -> None:
        self._left, self._whose, self._path = dict(settings), whose, path

    def move(self, names: Mapping[str, str]) -> dict[str, Any]:
        """Those of their names, under ours."""
        return {ours: self._left.pop(k) for k, ours in names.items() if k in self._left}

    def take(self, name: str, default: Any = None) -> Any:
        """One of them."""
        return self._left.pop(name, default)

    def number(self, name: str, default: float) -> float:
        """One that must be a positive number."""
        value = self.take(name, default)
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = 0.0
        if isinstance(value, bool) or not 0 < found < 1e9:
            raise Error(f"{self._path}: '{name}' is {value!r}, expected a positive number")
        return found

    def finish(self, idle: frozenset[str] = frozenset()) -> None:
        """Complain of what is neither taken nor without use here."""
        strange = sorted(str(key) for key in self._left if key not in idle)
        if strange:
            raise Error(
                f"{self._path}: looks like settings of {self._whose}, but its trainer knows no "
                f"{', '.join(map(repr, strange))}"
            )


def _mindspore(given: _Taken) -> dict[str, Any]:
    run = given.move(
        {"batch_size": "batch_size", "epoch_size": "epochs", "save_steps": "checkpoint_every"}
    )
    lr = given.number("lr_g", 1e-4)
    model = given.move(
        {
            "leaky_alpha": "leak",
            "beta1": "adam_b1",
            "beta2": "adam_b2",
            "weight_decay": "weight_decay",
        }
    )
    model |= {"upstream": "mindspore", "discriminator_lr": given.number("lr_d", lr) / lr}
    hop = int(given.number("hop_size", 256))
    model["mel"] = {"hop_length": hop} | given.move(
        {
            "mel_num": "bands",
            "filter_length": "fft_length",
            "win_length": "window_length",
            "sample": "sample_rate",
        }
    )
    data: dict[str, Any] = {"segment": int(given.number("train_length", 64)) * hop}
    data |= given.move({"data_path": "path"})
    spoken = given.take("eval_data_path")
    if isinstance(spoken, str) and Path(spoken).is_dir():
        data["speak"] = spoken
    folder, name = given.take("save_checkpoint_path"), given.take("save_checkpoint_name")
    if isinstance(folder, str) and folder:
        run["model_dir"] = folder
        if isinstance(name, str) and name:
            run["output"] = str(Path(folder) / f"{name}.gguf")
    trained, weights = given.take("pre_trained", False), given.take("checkpoint_path", "")
    if str(trained).strip().lower() in ("true", "1", "yes"):
        run["finetune"] = weights
    given.finish(_MINDSPORE_IDLE)
    return {**run, "lr": lr, "schedule": "constant", "log_every": 1, "model": model, "data": data}


def _descript(given: _Taken) -> dict[str, Any]:
    run = given.move(
        {
            "batch_size": "batch_size",
            "epochs": "epochs",
            "save_interval": "checkpoint_every",
            "log_interval": "log_every",
        }
    )
    folder, weights = given.take("save_path"), given.take("load_path")
    if folder:
        run["model_dir"] = "/".join(folder) if isinstance(folder, list) else str(folder)
    if weights:
        place = "/".join(weights) if isinstance(weights, list) else str(weights)
        run["finetune"] = str(Path(place) / "netG.pt")
    channels = int(given.number("ngf", 32)) * 16
    width, layers = int(given.number("ndf", 16)), int(given.number("n_layers_D", 4))
    if given.take("downsamp_factor", 4) != 4 or given.take("cond_disc", False) is True:
        raise Error(
            "descript's MelGAN with another downsamp_factor than 4, or with cond_disc, is "
            "not trained here"
        )
    sizes = [min(width * 4**n, 1024) for n in range(layers + 1)]
    model = {
        "upstream": "descript",
        "channels": channels,
        "discriminator_channels": [*sizes, min(2 * sizes[-1], 1024)],
        "mel": given.move({"n_mel_channels": "bands"}),
    } | given.move(
        {"n_residual_layers": "blocks", "num_D": "scales", "lambda_feat": "feature_weight"}
    )
    data = given.move({"seq_len": "segment"})
    speech = given.take("data_path")
    if speech:
        root = Path("/".join(speech) if isinstance(speech, list) else str(speech))
        train, test = root / "train_files.txt", root / "test_files.txt"
        data["path"] = str(train if train.is_file() else root)
        data |= {"validation": str(test)} if test.is_file() else {}
    given.finish(_DESCRIPT_IDLE)
    return {**run, "lr": 1e-4, "schedule": "constant", "model": model, "data": data}


def _seungwonpark(settings: Mapping[str, Any], path: str) -> dict[str, Any]:
    whose = "seungwonpark's MelGAN"
    parts = {
        name: _Taken(value if isinstance(value := settings.get(name), Mapping) else {}, whose, path)
        for name in ("data", "train", "audio", "model", "log")
    }
    _Taken({k: v for k, v in settings.items() if k not in parts}, whose, path).finish()
    train, audio = parts["train"], parts["audio"]
    adam = _Taken(train.take("adam", {}) or {}, whose, path)
    run = train.move({"batch_size": "batch_size"})
    model = {"upstream": "seungwonpark"} | train.move({"rep_discriminator": "discriminator_steps"})
    model |= adam.move({"beta1": "adam_b1", "beta2": "adam_b2"})
    model |= parts["model"].move({"feat_match": "feature_weight"})
    hop = int(audio.number("hop_length", 256))
    model["mel"] = {"hop_length": hop} | audio.move(
        {
            "n_mel_channels": "bands",
            "filter_length": "fft_length",
            "win_length": "window_length",
            "sampling_rate": "sample_rate",
            "mel_fmin": "fmin",
            "mel_fmax": "fmax",
        }
    )
    frames = -(-int(audio.number("segment_length", 16000)) // hop)
    data = {"segment": frames * hop} | {
        ours: value
        for ours, value in parts["data"].move({"train": "path", "validation": "validation"}).items()
        if value
    }
    lr = adam.number("lr", 1e-4)
    train.finish(frozenset(("num_workers", "optimizer")))
    audio.finish(frozenset(("pad_short",)))
    parts["log"].finish(
        frozenset(
            ("summary_interval", "validation_interval", "save_interval", "chkpt_dir", "log_dir")
        )
    )
    for rest in (adam, parts["model"], parts["data"]):
        rest.finish()
    return {**run, "lr": lr, "schedule": "constant", "model": model, "data": data}
