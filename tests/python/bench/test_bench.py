"""pyvoc bench: counts against the tensors, timing of a peer of known speed, memory, the JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_files import table_module

pytest.importorskip("pyvoc._pyvoc")

from pyvoc import _pyvoc
from pyvoc.bench import Options, memory, run
from pyvoc.bench.programs import differences
from pyvoc.bench.report import Absent, Batch, Machine, Peer, Report, Result, Spread
from pyvoc.cli import bench
from pyvoc.errors import Error, UnsupportedError
from pyvoc.families.lpcnet.bench import seeded
from pyvoc.families.lpcnet.bench.work import lpcnet_work
from pyvoc.files.features import extract

ROOT = Path(__file__).resolve().parents[3]
OLD = ROOT / "tests" / "golden" / "softmax_dense.int8.gguf"
TINY = ROOT / "tests" / "golden" / "tree_larger.int8.gguf"
native: Any = _pyvoc

linux_only = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
posix_only = pytest.mark.skipif(os.name != "posix", reason="needs a shell script as peer")


def script(path: Path, body: str) -> Path:
    """A peer of our own: $1 the mode, $2 the input, $3 the output."""
    path.write_text(f"#!/bin/sh\nset -e\n{body}\n")
    path.chmod(0o755)
    return path


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_parser(parser.add_subparsers())
    return parser.parse_args(["bench", *arguments])


@pytest.fixture(scope="module")
def seeded_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp("seeded")
    paths = {precision: folder / f"{precision}.gguf" for precision in ("f32", "bf16", "int8")}
    for precision, path in paths.items():
        seeded.SEEDED.write(path, precision)
    return paths


def test_spread() -> None:
    spread = Spread.of([4.0, 1.0, 3.0, 2.0, 5.0])
    assert spread == Spread(median=3.0, q1=2.0, q3=4.0, min=1.0, max=5.0, rounds=5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 7.0, 7.0, 1)


def test_the_seeded_model_is_lpcnet_sized(seeded_models: dict[str, Path]) -> None:
    description = json.loads(native.Model(str(seeded_models["int8"])).describe())
    work = lpcnet_work(description)
    # 3 gates of 384 x 384 at 0.05, 0.05, 0.2; 1152 on the diagonal; GRU B; eight nodes; frame / 160
    expected = 384 * 384 * 0.3 + 1152 + 48 * 384 + 48 * 16 + 8 * 2 * 16 + 267776 / 160
    assert work.total_macs == pytest.approx(expected, rel=0.002)
    assert work.total_macs * 16000 == pytest.approx(1.06e9, rel=0.01)


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8"])
def test_work_agrees_with_the_values(seeded_models: dict[str, Path], precision: str) -> None:
    """Counted a second way: non-zero values of the decoded tensors, and item sizes."""
    from pyvoc.container import read_container
    from pyvoc.families.lpcnet.spec import LPCNET
    from pyvoc.quant import decode

    path = seeded_models[precision]
    work = lpcnet_work(json.loads(native.Model(str(path)).describe()))
    container = read_container(path)
    arrays = decode(LPCNET, container)
    recurrent = np.count_nonzero(arrays["gru_a.weight_hh"])
    zeros_in_blocks = np.count_nonzero(container.tensors["gru_a.weight_hh"].data == 0)
    assert work.macs["gru_a.weight_hh"] == recurrent + zeros_in_blocks
    frame = sum(
        arrays[f"{name}.weight"].size
        for name in ("conv1", "conv2", "dense1", "dense2", "gru_a.cond", "gru_b.cond")
    )
    assert work.macs["frame network"] == pytest.approx(frame / 160)
    items = {"f32": (4, 4, 4), "bf16": (2, 2, 2), "int8": (1, 2, 2)}[precision]
    assert work.bytes["gru_b.weight_ih"] == 48 * 384 * items[0]
    assert work.bytes["gru_a.embed_*"] == 3 * 1152 * items[1]
    assert work.bytes["frame network"] == pytest.approx(frame / 160 * items[2])
    blocks = container.tensors["gru_a.weight_hh"].data.shape[0]
    assert work.bytes["gru_a.weight_hh"] == blocks * (32 * items[0] + 2) + 4 * 1152


def test_softmax_and_dense_models_are_counted() -> None:
    model = native.Model(str(OLD))
    work = lpcnet_work(json.loads(model.describe()))
    assert work.macs["gru_a.weight_hh"] == 3 * 16 * 16
    assert work.macs["dual_fc"] == 2 * 256 * 16


def test_speech_is_the_same_every_time_and_has_pitch() -> None:
    pcm = seeded.speech(3.0)
    assert pcm.shape == (48000,) and pcm.dtype == np.int16
    assert np.array_equal(pcm, seeded.speech(5.0)[:48000])
    assert np.abs(pcm).max() == 12000
    rows = extract(pcm)
    assert np.median(rows[50:, 19]) > 0.1  # correlation, less 0.5: mostly voiced


def test_kernel_rate_is_of_the_kernel_it_is_asked_for() -> None:
    small = native.testing.kernel_rate("dense_f32", 4, 96, 0.02)
    large = native.testing.kernel_rate("dense_f32", 400, 96, 0.02)
    assert 20 < small / large < 2000  # a hundred times the work
    for arguments in (("sparse", 4, 96), ("dense_i8", 0, 96), ("dense_i8", 4, 97)):
        with pytest.raises(Error, match="kernel_rate"):
            native.testing.kernel_rate(*arguments, 0.01)


@posix_only
def test_a_peers_start_is_not_timed(tmp_path: Path) -> None:
    # 0.3 s to start, 0.4 s per 100 frames of 144 bytes: 100 frames more are 0.4 s more.
    peer = script(
        tmp_path / "peer",
        'size=$(wc -c < "$2")\n'
        "sleep $(awk -v n=$size 'BEGIN { print 0.3 + n / 144 * 0.004 }')\n"
        'echo x > "$3"',
    )
    with differences(str(peer), "-m", np.zeros((100, 36), np.float32)) as measure:
        assert measure is not None
        seconds = min(measure() for _ in range(3))
    assert 0.3 < seconds < 0.65


@posix_only
def test_a_peer_that_fails_is_named(tmp_path: Path) -> None:
    frames = np.zeros((10, 36), np.float32)
    for body, message in (("exit 7", "code 7"), ("exit 0", "wrote nothing")):
        path = script(tmp_path / "peer", body)
        with differences(str(path), "-m", frames) as measure, pytest.raises(Error, match=message):
            assert measure is not None
            measure()
    with differences("/nonexistent", "-m", np.zeros(10, np.int16)) as measure:
        assert measure is not None
        with pytest.raises(Error, match="'/nonexistent'"):
            measure()


@linux_only
def test_peak_memory_is_of_the_command() -> None:
    ballast = bytearray(200 << 20)  # ours, which a child must not be charged with
    code = "import time; x = bytearray(64 << 20); time.sleep(0.5)"
    peak = memory.peak_bytes_of([sys.executable, "-S", "-c", code])
    assert len(ballast) == 200 << 20
    assert peak is not None and 64 << 20 < peak < 120 << 20
    with pytest.raises(Error, match="code 3"):
        memory.peak_bytes_of([sys.executable, "-c", "raise SystemExit(3)"])


@posix_only
def test_a_whole_run(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    log = tmp_path / "log"
    # Notes where it runs, and takes 10 ms per 100 frames or second of PCM.
    peer = script(
        tmp_path / "peer",
        f'echo "$1 $(grep Cpus_allowed_list /proc/self/status)" >> "{log}"\n'
        'size=$(wc -c < "$2")\n'
        "sleep $(awk -v n=$size 'BEGIN { print n * 1e-5 }')\n"
        'echo x > "$3"',
    )
    steps: list[str] = []
    options = Options(
        ("lpcnet", "features"),
        model=TINY,
        seconds=1,
        repeats=3,
        streams=(1, 4),
        core=core,
        peer_int8=peer,
    )
    report = run(options, progress=steps.append)
    assert len(steps) == 5  # machine, memory, two of synthesis, features
    assert [(r.name, r.precision, r.streams) for r in report.results] == [
        ("lpcnet", "int8", 1),
        ("lpcnet", "int8", 4),
        ("features", None, 1),
    ]
    for result in report.results:
        assert result.xrt > 1 and result.xrt_spread.rounds == 3
        assert 0 < result.p50_ms <= result.p99_ms
        assert result.peer is not None and result.peer.xrt.rounds == 3
        assert result.ratio == pytest.approx(result.xrt / result.peer.xrt.median)
    single, four, extraction = report.results
    assert single.first_sample_ms is not None and single.load_ms is not None
    assert single.gmacs is not None and single.peak_fraction is not None
    assert single.l2_fraction is not None and 0 < single.peak_fraction < 1.5
    assert single.gmacs / report.machine.peak_gmacs["int8"] == pytest.approx(single.peak_fraction)
    assert four.l2_fraction is None and extraction.gmacs is None
    assert single.peer is not None and single.peer.weights == "int8"
    assert report.machine.tier == json.loads(native.system_info())["active_tier"]
    assert f"{single.xrt:.1f}x real time" in report.to_text()
    if Path("/proc/self/status").exists():
        assert single.rss_mb is not None and 0.2 < single.rss_mb < 50
        lines = log.read_text().splitlines()
        assert {line.split()[0] for line in lines} == {"-synthesis", "-features"}
        assert {line.split()[-1] for line in lines} == {str(core)}, "the peer was not pinned"


def test_json_has_the_documented_keys() -> None:
    spread = Spread(1.0, 1.0, 1.0, 1.0, 1.0, 1)
    machine = Machine("cpu", "scalar", 1, 1, {"f32": 1.0, "bf16": 1.0, "int8": 1.0}, 1.0, 1.0)
    values: dict[str, Any] = {field.name: 1.0 for field in dataclasses.fields(Result)}
    values |= {"name": "lpcnet", "precision": "int8", "tier": "scalar", "xrt_spread": spread}
    peer = Peer("peer", "int8", spread, spread, 1.0)
    values |= {"peer": peer, "peers": [peer], "absent": [Absent("x", "y")], "xrt": math.pi}
    values |= {"macs_by_part": {}, "bytes_by_part": {}}
    values |= {"batches": [Batch.of(4, 832, 0.01, 2.0)]}
    written = json.loads(Report(machine, [Result(**values)], "2024-01-31", "0").to_json())
    asked = "name precision threads xrt p50_ms p99_ms first_sample_ms rss_mb load_ms gmacs"
    asked += " peak_fraction tier streams peer ratio"
    assert set(asked.split()) <= set(written["results"][0])
    assert written["results"][0]["xrt"] == 3.1416
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    table = document[document.index("## The JSON") :]
    result = written["results"][0]
    keys = [*written, *written["machine"], *result, *result["peer"], *result["absent"][0]]
    keys += result["batches"][0]
    missing = [key for key in keys if key not in table]
    assert not missing, f"docs/performance.md does not say what these are: {missing}"


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.json"
    args = parse("features", "--seconds", "1", "--repeats", "2", "--json", "-o", str(target))
    assert bench.run(args) == 0
    assert capsys.readouterr().out == ""
    report = json.loads(target.read_text())
    assert [r["name"] for r in report["results"]] == ["features"]
    assert report["results"][0]["peer"] is None and report["results"][0]["ratio"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        ["wavenet"],
        ["--streams", "0"],
        ["--precision", "f16"],
        ["--seconds", "-1"],
        ["--model", "m.gguf", "--precision", "f32"],
        ["--peer", "a", "b", "c"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        bench.run(parse(*arguments))
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="core 65535"):
        run(Options(("lpcnet",), core=65535))
    with pytest.raises(UnsupportedError, match="threads need as many cores"):
        run(Options(("lpcnet",), threads=1024))
    with pytest.raises(Error, match=r"missing\.gguf"):
        run(Options(model=tmp_path / "missing.gguf", targets=("lpcnet",), seconds=1))
    with pytest.raises(UnsupportedError, match="lpcnet55"):
        run(Options(("lpcnet",), model=OLD, peer_int8=tmp_path / "peer", seconds=1))


def test_a_model_of_the_other_layout() -> None:
    report = run(Options(model=OLD, targets=("lpcnet",), seconds=1, repeats=1, streams=(2,)))
    assert [(r.precision, r.streams) for r in report.results] == [("int8", 2)]
    assert report.results[0].xrt > 1


def test_a_worker_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYVOC_ISA", "bogus")
    with pytest.raises(UnsupportedError, match="bogus"):
        run(Options(targets=("features",), seconds=1))


def test_documented_tables_are_those_of_the_results() -> None:
    table = table_module()
    paths = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    assert paths
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    reports.sort(key=lambda report: str(report["machine"]["tier"]), reverse=True)
    document = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert table.updated(document, table.tables(reports)) == document


@posix_only
def test_run_script_says_how_it_is_used() -> None:
    done = subprocess.run(
        [str(ROOT / "benchmarks" / "run.sh")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "PEER_INT8 PEER_FLOAT C_EXAMPLE" in done.stdout
