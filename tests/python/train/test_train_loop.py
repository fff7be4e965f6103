"""The training loop on a toy: convergence, resume, stopping, NaN, mixed precision, reports."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import toy_task  # noqa: E402
from gan_files import assert_same_state  # noqa: E402

from pyvoc import Error, UnsupportedError  # noqa: E402
from pyvoc.cli import main  # noqa: E402
from pyvoc.train import TrainConfig, train  # noqa: E402
from pyvoc.train.checkpoint import parse, read_bytes  # noqa: E402
from pyvoc.train.log import Log, Progress, read_log  # noqa: E402
from pyvoc.train.performance import Clock  # noqa: E402
from pyvoc.train.schedule import learning_rate  # noqa: E402
from pyvoc.train.task import Loss  # noqa: E402

SCRIPT = str(Path(toy_task.__file__))


def config(folder: Path, **values: Any) -> TrainConfig:
    base: dict[str, Any] = {"lr": 0.05, "batch_size": 4, "threads": 1, "log_every": 1}
    base |= {"epochs": 2, "samples": False, "device": "cpu", "clip_grad": 5.0}
    return TrainConfig(family="toy", model_dir=str(folder), **{**base, **values})


def losses(folder: Path) -> list[float]:
    return [e["loss"] for e in read_log(folder / "log.jsonl") if e["event"] == "step"]


def final(folder: Path, step: int) -> Any:
    path = folder / f"checkpoint-{step:09d}.pt"
    return parse(read_bytes(path), str(path))


def assert_same_checkpoint(one: Path, two: Path, step: int) -> None:
    a, b = final(one, step), final(two, step)
    for part in ("module", "optimizers", "task", "state"):
        assert_same_state(getattr(a, part), getattr(b, part))
    assert (a.progress["best"], a.progress["worse"]) == (b.progress["best"], b.progress["worse"])


def test_it_learns(tmp_path: Path) -> None:
    result = train(config(tmp_path / "run", epochs=30, schedule="cosine", warmup_steps=10))
    assert result.reason == "finished" and result.step == 300 and result.epochs == 30
    found = losses(tmp_path / "run")
    assert np.mean(found[-20:]) < 0.1 * np.mean(found[:20])
    assert result.best_loss is not None and result.best_loss < 0.1 * found[0]
    weight = np.load(result.model)  # type: ignore[arg-type]
    assert np.array_equal(weight, final(tmp_path / "run", 300).module["read.weight"].numpy())


@pytest.mark.parametrize("stop", [7, 10, 13])
def test_resumed_equals_uninterrupted(tmp_path: Path, stop: int) -> None:
    model = {"noise": 0.3}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(whole, model=model, validate_every=5, checkpoint_every=stop))
    for entry in os.listdir(whole):
        assert not entry.startswith(".")
    cut = config(parts, model=model, validate_every=5, checkpoint_every=stop)
    first = _interrupted(cut, stop)
    assert first.reason == "SIGTERM" and first.step == stop and first.model is None
    assert (parts / "latest").read_text() == f"checkpoint-{stop:09d}.pt\n"
    second = train(cut, resume="latest")
    assert second.step == 20
    assert_same_checkpoint(whole, parts, 20)
    assert losses(whole) == losses(parts) and len(losses(parts)) == 20
    assert not final(whole, 20).module["leak"].equal(torch.full((8,), 0.5))


@pytest.mark.parametrize("stop", [10, 20])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_validation_that_a_signal_broke_off_is_made_up_for(
    tmp_path: Path, stop: int, meanwhile: bool
) -> None:
    """The signal came in the step before it, or within it, which then ends at its next batch."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(whole, validate_every=5))
    cut = config(parts, validate_every=5)
    first = _interrupted_validation(cut, stop) if meanwhile else _interrupted(cut, stop)
    assert first.reason == "SIGTERM" and first.step == stop and first.model is None
    assert final(parts, stop).progress["owed"] is True
    found = validations(parts)
    assert len(found) == stop // 5 - 1
    second = train(cut, resume="latest")
    assert second.reason == "finished" and second.model is not None
    assert validations(parts) == validations(whole) and len(validations(whole)) == 4
    assert_same_checkpoint(whole, parts, 20)
    assert final(parts, 20).progress["owed"] is False


def validations(folder: Path) -> list[tuple[int, float]]:
    log = read_log(folder / "log.jsonl")
    return [(e["step"], e["loss"]) for e in log if e["event"] == "validation"]


def _interrupted_validation(cut: TrainConfig, stop: int) -> Any:
    """Train until SIGTERM arrives while the validation after step `stop` is under way."""
    original, done = toy_task.Task.measure, list[int]()

    def measure(self: toy_task.Task, *arguments: Any) -> Any:
        done.append(1)
        if len(done) == 1 + (stop // 5 - 1) * batches:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments)

    batches = toy_task.ToyData().held_out
    assert batches > 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_task.Task, "measure", measure)
        return train(cut)


def _interrupted(cut: TrainConfig, stop: int) -> Any:
    """Train until SIGTERM arrives while step `stop` is under way."""
    original = toy_task.Task.after_update

    def after_update(self: toy_task.Task, step: int) -> dict[str, float]:
        if step == stop - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_task.Task, "after_update", after_update)
        return train(cut)


def test_resume_discards_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(run, checkpoint_every=5, keep=9))
    before = losses(run)
    whole = final(run, 20)
    train(config(run, checkpoint_every=5, keep=9), resume=str(run / "checkpoint-000000005.pt"))
    assert losses(run) == before
    assert_same_state(final(run, 20).module, whole.module)


def test_the_carried_state_matters(tmp_path: Path) -> None:
    """Otherwise the tests above would not notice its loss."""
    run = tmp_path / "run"
    train(config(run, epochs=1, checkpoint_every=6))
    path = run / "checkpoint-000000006.pt"
    stored = parse(read_bytes(path), "x")
    assert stored.state["h"].shape == (4, 8) and stored.state["h"].abs().max() > 0.1
    before = losses(run)
    content = torch.load(path, weights_only=True)
    content["state"]["h"].zero_()
    torch.save(content, path)
    train(config(run, epochs=1, checkpoint_every=6), resume=str(path))
    assert losses(run)[:6] == before[:6] and losses(run)[6] != before[6]


def torchrun(arguments: list[str], processes: int) -> subprocess.CompletedProcess[str]:
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone"]
    return subprocess.run(
        [sys.executable, *launch, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )


def test_two_processes_equal_one(tmp_path: Path) -> None:
    train(config(tmp_path / "one"))
    common = ["train", "toy", "--lr=0.05", "--batch-size=4", "--epochs=2", "--clip-grad=5"]
    common += ["--log-every=1", "--device=cpu", "--set", "samples=false", "--threads=1"]
    two = tmp_path / "two"
    done = torchrun([*common, "--model-dir", str(two), "--use-performance"], 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("finished") == 1, "only rank 0 reports"
    assert len(losses(two)) == 20
    np.testing.assert_allclose(losses(two), losses(tmp_path / "one"), rtol=0, atol=1e-5)
    one_end, two_end = final(tmp_path / "one", 20), final(two, 20)
    assert two_end.state["h"].shape == (4, 8)
    np.testing.assert_allclose(two_end.state["h"], one_end.state["h"], rtol=0, atol=1e-5)
    assert json.loads((two / "performance.json").read_text())["processes"] == 2
    # and a run of two is continued by one
    train(config(two, epochs=3), resume="latest")
    train(config(tmp_path / "one", epochs=3), resume="latest")
    np.testing.assert_allclose(losses(two), losses(tmp_path / "one"), rtol=0, atol=1e-5)


def test_several_losses_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its optimizer; the second sees what the first changed, and all of it is resumed."""
    seen: list[bool] = []

    def optimizers(self: toy_task.Task, lr: float) -> dict[str, torch.optim.Optimizer]:
        read = [{"params": list(self.module.read.parameters()), "lr_scale": 0.5}]
        return {"read": torch.optim.Adam(read, lr=lr), "leak": torch.optim.Adam([self.module.leak])}

    def in_turn(self: toy_task.Task, batch: Any, state: Any) -> Any:
        before = self.module.leak.detach().clone()
        value, carried, metrics = self.module(batch, state)
        yield Loss("leak", value, {"mae_before": metrics["mae"]})
        seen.append(not torch.equal(before, self.module.leak))
        value, carried, metrics = self.module(batch, state)
        yield Loss("read", value, metrics, carried)

    monkeypatch.setattr(toy_task.Task, "optimizers", optimizers)
    monkeypatch.setattr(toy_task.Task, "losses", in_turn)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(config(whole, checkpoint_every=7))
    assert all(seen) and len(seen) == 20
    train(config(parts, checkpoint_every=7, epochs=1, steps_per_epoch=7))
    train(config(parts, checkpoint_every=7, steps_per_epoch=10), resume="latest")
    assert_same_checkpoint(whole, parts, 20)
    assert set(final(whole, 20).optimizers) == {"read", "leak"}
    for name in ("loss", "loss_leak", "grad_norm", "grad_norm_leak", "mae", "mae_before"):
        found = [
            [e[name] for e in read_log(run / "log.jsonl") if e["event"] == "step"]
            for run in (whole, parts)
        ]
        assert found[0] == found[1] and len(set(found[0])) == 20
    rates = {
        name: state["param_groups"][0]["lr"] for name, state in final(whole, 20).optimizers.items()
    }
    assert rates["read"] == pytest.approx(0.5 * rates["leak"])
    spoiled = config(tmp_path / "nan", model={"nan_at": 3, "nan_row": 1}, checkpoint_every=2)
    with pytest.raises(Error, match=r"the leak's loss is nan \(step 4, rows 1 of the batch\)"):
        train(spoiled)


def test_processes_that_cannot_share(tmp_path: Path) -> None:
    done = torchrun(["train", "toy", "--batch-size=5", "--model-dir", str(tmp_path / "run")], 2)
    assert done.returncode != 0
    assert "'batch_size' is 5, which 2 processes cannot share equally" in done.stderr


def test_nan_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    spoiled = config(run, model={"nan_at": 13, "nan_row": 2}, checkpoint_every=4)
    with pytest.raises(Error) as caught:
        train(spoiled)
    for part in ("loss is nan", "step 14, rows 2 of the batch", "checkpoint-000000012.pt"):
        assert part in str(caught.value)
    assert (run / "latest").read_text() == "checkpoint-000000012.pt\n"
    assert all(bool(t.isfinite().all()) for t in final(run, 12).module.values())
    (failure,) = [e for e in read_log(run / "log.jsonl") if e["event"] == "failure"]
    assert failure["step"] == 14
    good = config(run, checkpoint_every=4)
    assert train(good, resume="latest").step == 20


def test_nan_before_any_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"step 1, rows 0 of the batch\); no checkpoint was written"):
        train(config(tmp_path / "run", model={"nan_at": 0}))


def test_ctrl_c_leaves_a_usable_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-W", "error", SCRIPT, "train", "toy", "--model-dir", str(run)]
    command += ["--set", "data.slow=0.05", "--log-every=1", "--epochs=100", "--batch-size=4"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: (run / "log.jsonl").exists() and len(losses(run)) >= 3, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "SIGINT: finishing the step" in err and "Traceback" not in err
    assert f"to continue: pyvoc train toy --model-dir {run} --resume" in out
    step = len(losses(run))
    assert final(run, step).step == step
    code = main(["train", "toy", "--model-dir", str(run), "--resume", "--epochs=1", "--json"])
    assert code == 0 and len(losses(run)) == max(10, step)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def test_max_minutes_and_continuing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = ["train", "toy", "--model-dir", str(run), "--epochs=2", "--threads=1", "--lr=0.05"]
    arguments += ["--clip_grad=5", "--batch_size", "4", "--log-every=1"]
    assert main([*arguments, "--max-minutes=1e-5", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["reason"] == "max_minutes" and report["step"] == 1
    assert Path(report["model"]).is_file() and Path(report["checkpoint"]).is_file()
    assert main(["train", "toy", "--model-dir", str(run), "--resume", "--max-minutes=0"]) == 0
    assert "finished: step 20 (epoch 2.00)" in capfd.readouterr().out
    train(config(tmp_path / "whole"))
    assert_same_checkpoint(tmp_path / "whole", run, 20)


def test_early_stop_and_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(config(run, lr=1e-30, epochs=50, validate_every=2, patience=3, best_after=4))
    assert result.reason == "early_stop" and result.step == 10
    found = [e for e in read_log(run / "log.jsonl") if e["event"] == "validation"]
    counted = [e for e in found if e["step"] >= 4]
    best = min(counted, key=lambda e: e["loss"])
    assert result.best_loss == best["loss"]
    assert [e["best"] for e in counted[-3:]] == [False] * 3
    assert not any(e["best"] for e in found if e["step"] < 4)
    assert parse(read_bytes(run / "best.pt"), "best").step == best["step"]
    assert (run / "best.gguf").is_file()
    with pytest.raises(Error, match="no held-out data"):
        train(config(tmp_path / "none", patience=1, data={"held_out": 0}))


def test_epochs_and_start_epoch_shift_counters_only(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = train(config(run, epochs=1, start_epoch=121, steps_per_epoch=3))
    entries = [e for e in read_log(run / "log.jsonl") if e["event"] == "step"]
    assert [e["step"] for e in entries] == [361, 362, 363] and result.step == 363
    assert {e["epoch"] for e in entries} == {121}
    assert entries[0]["lr"] == pytest.approx(0.05 / (1 + 5e-5 * 360), rel=1e-12)


def test_schedules() -> None:
    base = TrainConfig(family="toy", lr=0.1, lr_decay=0.5)
    assert learning_rate(base, 0, 100, epoch=10) == 0.1
    assert learning_rate(base, 4, 100, epoch=10) == pytest.approx(0.1 / 3)
    cosine = dataclasses.replace(base, schedule="cosine", warmup_steps=10, lr_final=0.02)
    rates = [learning_rate(cosine, step, 101, epoch=10) for step in range(101)]
    assert rates[:10] == pytest.approx([0.01 * k for k in range(1, 11)])
    assert rates[10] == pytest.approx(0.1) and rates[100] == pytest.approx(0.02)
    assert rates[55] == pytest.approx(0.06) and rates[10:] == sorted(rates[10:], reverse=True)
    epochs = dataclasses.replace(base, schedule="epochs", lr_gamma=0.5)
    assert [learning_rate(epochs, step, 100, epoch=10) for step in (0, 9, 10, 35)] == [
        *(0.1, 0.1, 0.05),
        pytest.approx(0.0125),
    ]
    constant = dataclasses.replace(base, schedule="constant")
    assert learning_rate(constant, 77, 100, epoch=10) == 0.1


def test_finetune(tmp_path: Path) -> None:
    train(config(tmp_path / "a"))
    old = final(tmp_path / "a", 20)
    path = str(tmp_path / "a" / "checkpoint-000000020.pt")
    train(config(tmp_path / "b", finetune=path, lr=1e-12, epochs=1))
    new = final(tmp_path / "b", 10)
    assert new.task["updates"] == 30, "what the module does not hold comes along"
    for name, tensor in old.module.items():
        torch.testing.assert_close(new.module[name], tensor, rtol=0, atol=1e-8)
    np.save(tmp_path / "w.npy", np.full((1, 8), 0.5, np.float32))
    train(config(tmp_path / "c", finetune=str(tmp_path / "w.npy"), lr=1e-12, epochs=1))
    with pytest.raises(Error, match="'nobody' is no voice and no file"):
        train(config(tmp_path / "d", finetune="nobody"))
    weight = final(tmp_path / "c", 10).module["read.weight"]
    torch.testing.assert_close(weight, torch.full((1, 8), 0.5), rtol=0, atol=1e-8)


def test_bf16_on_the_cpu(tmp_path: Path) -> None:
    train(config(tmp_path / "f32", epochs=5))
    train(config(tmp_path / "bf16", epochs=5, use_amp=True))
    one, two = losses(tmp_path / "f32"), losses(tmp_path / "bf16")
    assert one != two
    np.testing.assert_allclose(two[0], one[0], rtol=0.02)
    assert np.mean(two[-10:]) < 0.6 * np.mean(two[:10])
    (start,) = [e for e in read_log(tmp_path / "bf16" / "log.jsonl") if e["event"] == "start"]
    assert start["precision"] == "bf16"
    with pytest.raises(UnsupportedError, match="processors train in bf16"):
        train(config(tmp_path / "x", use_amp=True, amp_dtype="fp16", device="auto"))


def test_log_and_files(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(config(run, epochs=3, checkpoint_every=4, keep=2, samples=True, log_every=5))
    assert sorted(p.name for p in run.glob("checkpoint-*")) == [
        f"checkpoint-{step:09d}.{suffix}" for step in (28, 30) for suffix in ("gguf", "pt")
    ]
    pytest.importorskip("matplotlib")
    for step in (4, 8, 28, 30):
        folder = run / "samples" / f"step-{step:09d}"
        assert sorted(p.name for p in folder.iterdir()) == ["tone.png", "tone.wav"]
    entries = read_log(run / "log.jsonl")
    assert [e["event"] for e in (entries[0], entries[-1])] == ["start", "end"]
    steps = [e for e in entries if e["event"] == "step"]
    assert [e["step"] for e in steps] == [5, 10, 15, 20, 25, 30]
    assert [e["epoch"] for e in steps] == [1, 1, 2, 2, 3, 3]
    keys = {"loss", "lr", "grad_norm", "samples_per_s", "mae", "updates"}
    assert all(keys <= e.keys() and e["samples_per_s"] > 0 for e in steps)
    assert [e["step"] for e in entries if e["event"] == "validation"] == [10, 20, 30]
    assert entries[0]["config"]["keep"] == 2


def test_the_log_survives_a_crash(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"event": "step", "step": 1, "loss": 1}\n{"event": "st')
    log = Log(tmp_path)
    log.write("step", 2, loss=float("nan"))
    log.close()
    assert read_log(tmp_path / "log.jsonl") == [
        {"event": "step", "step": 1, "loss": 1},
        {"event": "step", "step": 2, "loss": None},
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_log_without_room(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    log = Log(tmp_path)
    with pytest.raises(Error, match=r"cannot write '.*log\.jsonl': No space left on device"):
        log.write("step", 1, loss=1.0)
    log.close()


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_progress_bar_is_for_terminals() -> None:
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        progress = Progress(4, 1, shown=True, stream=stream)
        for _ in range(3):
            progress.update(loss=1.25)
        progress.close()
        assert ("4/4" in stream.getvalue()) == shown
        assert bool(stream.getvalue()) == shown


def test_a_failing_export_does_not_end_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Error, match="the toy has no shop"):
        train(config(run, model={"fail_export": True}))
    assert final(run, 20).step == 20
    warnings = [e for e in read_log(run / "log.jsonl") if e["event"] == "warning"]
    assert {e["step"] for e in warnings} == {10, 20}
    assert "was written, but not its model or speech: the toy has no shop" in capfd.readouterr().err


def test_performance_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = ["train", "toy", "--model-dir", str(run), "--epochs=2", "--batch-size=4"]
    assert main([*arguments, "--use-performance=True", "--use_amp", "--device", "cpu"]) == 0
    header, _, row = capfd.readouterr().out.splitlines()[-3:]
    names, cells = ([cell.strip() for cell in line.split("|")] for line in (header, row))
    columns = dict(zip(names, cells, strict=True))
    report = json.loads((run / "performance.json").read_text())
    assert columns["Devices"] == "1 x cpu" and columns["Batch size"] == "4"
    assert columns["Throughput, FP32 (samples/s)"] == "-"
    assert columns["Throughput, mixed precision (samples/s)"] == f"{report['samples_per_s']:.1f}"
    assert report["samples_per_s"] == pytest.approx(report["steps_per_s"] * 4 * toy_task.TIME)
    assert report["steps"] == 20 and 0 < report["step_s"] < report["end_to_end_s"]
    assert columns["Waiting for data (%)"] == f"{100 * report['waiting']:.1f}"


def test_waiting_for_data_is_told(tmp_path: Path) -> None:
    """Most of the time, where a batch takes long to make; the first three steps do not count."""
    slow = train(config(tmp_path / "slow", epochs=1, data={"slow": 0.05})).performance
    assert 0.5 < slow.waiting < 1
    assert slow.data_wait_s > 0.3
    clock = Clock(1)
    for seconds, waiting in [(9.0, 9.0)] * 3 + [(2.0, 0.5), (2.0, 0.1)]:
        clock.add(seconds, waiting)
    who = {"family": "toy", "device": "cpu", "processes": 1, "batch_size": 4, "precision": "f32"}
    report = clock.report(**who)  # type: ignore[arg-type]
    assert (report.waiting, report.steps_per_s) == (pytest.approx(0.15), pytest.approx(0.5))
    assert (report.data_wait_s, report.step_s) == (pytest.approx(27.6), pytest.approx(31.0))


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(config(tmp_path / "run", epochs=1, enable_tensorboard=True, samples=True))
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert {"step/loss", "step/lr", "validation/loss"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("step/loss")] == list(range(1, 11))
    assert "tone" in events.Tags()["audio"]
