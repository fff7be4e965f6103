"""The inference guide's chain: features as bin, dynamic dims, a device, samples to wav.

onnxruntime stands in for the device (docs/ascend.md).
"""

from __future__ import annotations

import json
import shlex
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from voices import TREE, WAVERNN, make_mel
from waveglow_files import TINY

import pyvoc
from pyvoc import mels
from pyvoc.cli import main
from pyvoc.errors import AudioError, Error, FeatureError, UnsupportedError
from pyvoc.export import dynamic_dims, write_samples
from pyvoc.files.audio import write_wav

EARLY = TINY / "early.f32.gguf"
MELGAN = TINY.parent / "melgan" / "zero.f32.gguf"
SAMPLES = (4000, 5000, 5010)  # of 32 a frame
FRAMES = (126, 157, 157)


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    found = []
    for i, count in enumerate(SAMPLES):
        rng = np.random.default_rng(i)
        path = tmp_path / "wavs" / f"clip {i}.wav"
        path.parent.mkdir(exist_ok=True)
        write_wav(path, 0.05 * rng.standard_normal(count), 8000)
        found.append(path)
    return found


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as sound:
        assert sound.getframerate() == 8000 and sound.getnchannels() == 1
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768


def test_the_whole_chain(
    clips: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Samples in the wav files are those of our own runtime for the same noise."""
    pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    data, result, out = tmp_path / "data", tmp_path / "result", tmp_path / "out"
    wavs = [str(clip) for clip in clips]
    assert main(["features", *wavs, "-m", str(EARLY), "-o", f"{data}/", "--format", "bin"]) == 0
    assert main(["export", str(EARLY), "--onnx", str(tmp_path / "m.onnx")]) == 0
    session = ort.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    result.mkdir()
    model, expected = pyvoc.load(EARLY), []
    lines = (data / "lengths.txt").read_text().splitlines()
    for line, frames, count, clip in zip(lines, FRAMES, SAMPLES, clips, strict=True):
        first, second, name = line.split(" ", 2)
        assert (int(first), int(second), name) == (frames, count, f"{clip.stem}.bin")
        mel = np.fromfile(data / name, "<f4").reshape(1, 5, frames)
        own = pyvoc.features.extract(pyvoc.audio.read(clip)[0], recipe=model.info.mel)
        np.testing.assert_array_equal(mel[0].T, own)
        rng = np.random.default_rng(frames)
        z = (0.4 * rng.standard_normal((1, 8, 4 * frames))).astype("<f4")
        (audio,) = session.run(None, {"mel": mel, "z": z})
        audio.tofile(result / f"{clip.stem}_0.bin")
        expected.append(model.synthesize(own, draws=z.ravel(), sigma=1.0))
    outputs = [str(path) for path in sorted(result.iterdir())]
    capfd.readouterr()
    assert main(["synth", "--from-bin", *outputs, "-m", str(EARLY), "-o", f"{out}/", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["sample_rate"] == 8000 and report["samples"] == 32 * sum(FRAMES)
    for clip, audio in zip(clips, expected, strict=True):
        found = samples_of(out / f"{clip.stem}_0.wav")
        assert np.abs(found - np.clip(audio, -1, 1)).max() <= 2 / 32768


def test_dynamic_dims(clips: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    wavs = [str(clip) for clip in clips]
    inside = ["export", str(EARLY), "--z-inside", "--dynamic-dims"]
    assert main([*inside, *wavs]) == 0
    shown = capfd.readouterr()
    assert shown.out == "126;157\n"
    atc, ais_infer = shown.err.splitlines()
    assert "--input_shape=mel:1,5,-1" in shlex.split(atc)
    assert "--dynamic_dims=126;157" in shlex.split(atc)
    words = shlex.split(ais_infer)
    assert words[words.index("--dymDims") + 1] == "mel:1,5,126"
    assert words[words.index("--input") + 1] == "data/clip 0.bin"
    assert main([*inside, str(clips[0].parent)]) == 0
    assert capfd.readouterr().out == "126;157\n"
    given = dynamic_dims(EARLY, clips)
    assert given.frames == FRAMES and given.lengths == (126, 157)
    assert given.dynamic_dims == "126,504;157,628"
    assert given.input_shape == "mel:1,5,-1;z:1,8,-1"
    assert main(["export", str(EARLY), "--json", "--dynamic-dims", *wavs]) == 0
    assert json.loads(capfd.readouterr().out)["dynamic_dims"] == given.dynamic_dims


def test_one_length_needs_no_profiles(clips: list[Path]) -> None:
    """ATC wants two profiles or none."""
    found = dynamic_dims(EARLY, clips[1:], z_inside=True)
    assert found.dynamic_dims == "157" and found.input_shape == "mel:1,5,157"
    assert "dynamic_dims" not in found.atc and "dymDims" not in found.ais_infer


def test_frames_are_those_of_the_features(clips: list[Path]) -> None:
    """MelGAN's recipe, at another rate than the clips'."""
    pytest.importorskip("soxr")
    recipe = mels.recipe_of(MELGAN)
    counts = [
        len(pyvoc.features.extract(pyvoc.audio.read(c, rate=22050, band=4000)[0], recipe=recipe))
        for c in clips
    ]
    with pyvoc.doubts.collect() as found_doubtful:
        found = dynamic_dims(MELGAN, clips)
    assert all("nothing above 4000 Hz" in message for message in found_doubtful.messages)
    assert list(found.frames) == counts and found.input_shape == "mel:1,80,-1"


def test_clips_that_cannot_be_compiled_for(tmp_path: Path, clips: list[Path]) -> None:
    with pytest.raises(Error, match="no clips"):
        dynamic_dims(EARLY, [])
    with pytest.raises(Error, match=r"missing\.wav"):
        dynamic_dims(EARLY, [tmp_path / "missing.wav"])
    with pytest.raises(UnsupportedError, match="once per sample"):
        dynamic_dims(WAVERNN[0], clips)
    with pytest.raises(UnsupportedError, match="once per sample"):
        dynamic_dims(TREE, clips)
    with pytest.raises(UnsupportedError, match="starts from no noise"):
        dynamic_dims(MELGAN, clips, z_inside=True)
    many = []
    for i in range(101):
        many.append(tmp_path / f"{i}.s16")
        many[-1].write_bytes(bytes(2 * 2 * 32 * (i + 20)))  # raw samples are at 16 kHz
    pytest.importorskip("soxr")
    with pyvoc.doubts.collect():  # silence
        assert len(dynamic_dims(EARLY, many[:100]).lengths) == 100
        with pytest.raises(Error, match=r"101 different lengths, .* at most 100"):
            dynamic_dims(EARLY, many)


def test_formats_of_features(
    clips: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same mel in each format, and each can be read."""
    for kind in ("f32", "npy", "bin"):
        folder = tmp_path / kind
        arguments = ["features", str(clips[0]), "-m", str(EARLY), "-o", f"{folder}/"]
        assert main([*arguments, "--format", kind]) == 0
        assert sorted(path.suffix for path in folder.iterdir()) == sorted(
            [f".{kind}", ".txt"] if kind == "bin" else [f".{kind}"]
        )
    rows = np.load(tmp_path / "npy" / "clip 0.npy")
    assert rows.shape == (126, 5)
    for kind in ("f32", "npy", "bin"):
        path = tmp_path / kind / f"clip 0.{kind}"
        np.testing.assert_array_equal(mels.load(path, bands=5), rows)
    single = tmp_path / "single.bin"
    assert main(["features", str(clips[0]), "-m", str(EARLY), "-o", str(single)]) == 0
    assert single.read_bytes() == (tmp_path / "bin" / "clip 0.bin").read_bytes()
    lpcnet = ["features", str(clips[0]), "--layout", "lpcnet36", "-o", f"{tmp_path}/l/"]
    for wrong, words in (
        ([*lpcnet, "--format", "bin"], "for mels [1, bands, frames]"),
        (["features", "a.wav", "-o", "a.npy", "--format", "npy"], "for a directory"),
    ):
        with pytest.raises(SystemExit):
            main(wrong)
        assert words in capfd.readouterr().err
    assert not (tmp_path / "l").exists()


def test_clips_that_give_no_list(
    clips: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    empty, twice = tmp_path / "list.txt", tmp_path / "other" / clips[0].name
    empty.write_text("# nothing\n")
    twice.parent.mkdir()
    twice.write_bytes(clips[0].read_bytes())
    broken = tmp_path / "line\nbreak.wav"
    broken.write_bytes(clips[0].read_bytes())
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF" + bytes(40))
    for given, words in (
        ([empty], "lists no files"),
        ([clips[0], twice], "would both become"),
        ([broken], "line break"),
        ([clips[0], bad], "bad.wav"),
    ):
        arguments = [str(path) for path in given]
        arguments += ["-m", str(EARLY), "-o", f"{tmp_path}/data/", "--format", "bin"]
        assert main(["features", *arguments]) == 3
        assert words in capfd.readouterr().err
        assert not (tmp_path / "data" / "lengths.txt").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (bytes(4 * 64 - 1), "255 bytes, no whole number of float32"),
        (bytes(4 * 63), "63 samples, no whole number of frames of 32"),
        (struct.pack("<32f", *[0.0] * 5, float("nan"), *[0.0] * 26), "sample 5 of .* is nan"),
        (struct.pack("<32f", *[float("-inf")] * 32), "sample 0 of .* is -inf"),
        (np.full(256, 20000, "<i2").tobytes(), "is no audio"),
        (b"RIFF" + bytes(124), "starts like a RIFF"),
    ],
)
def test_samples_that_are_none(content: bytes, words: str, tmp_path: Path) -> None:
    good, bad, out = tmp_path / "good.bin", tmp_path / "bad.bin", tmp_path / "out"
    good.write_bytes(bytes(4 * 64))
    bad.write_bytes(content)
    if words == "is no audio":  # integers read as floats
        bad.write_bytes(np.full(64, 0x7F000000, "<i4").tobytes())
    with pytest.raises(AudioError, match=words):
        write_samples(
            [good, bad], [out / "good.wav", out / "bad.wav"], model=EARLY, make_folder=True
        )
    assert not out.exists()


def test_samples_beyond_full_scale_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "loud.bin"
    np.array([0.5, 1.5, -2.0, -0.5], "<f4").tofile(path)
    written = write_samples([path], [tmp_path / "loud.wav"], rate=8000)
    assert written.samples == 4 and written.audio_seconds == 0.0005
    assert written.warnings == (f"'{path}': 2 of 4 samples lie beyond -1..1 and are cut",)
    np.testing.assert_allclose(
        samples_of(tmp_path / "loud.wav"), [0.5, 1, -1, -0.5], rtol=0, atol=1 / 32768
    )


def test_command_line_of_samples(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "a_0.bin", tmp_path / "a.wav"
    np.full(320, 0.25, "<f4").tofile(source)
    arguments = ["synth", "--from-bin", str(source), "-o", str(target)]
    assert main([*arguments, "-m", str(EARLY)]) == 0
    assert "0.04 s at 8000 Hz" in capfd.readouterr().err
    np.testing.assert_array_equal(samples_of(target), np.full(320, 0.25))
    target.unlink()
    assert main(["synth", str(source), "--from-bin", "--rate", "44100", "-o", str(target)]) == 0
    with wave.open(str(target)) as sound:
        assert sound.getframerate() == 44100
    assert main([*arguments, "-m", str(TREE)]) == 3
    assert "no mels" in capfd.readouterr().err
    assert main([*arguments[:2], str(tmp_path / "none.bin"), "--rate", "8000"]) == 3
    assert "none.bin" in capfd.readouterr().err
    for more, words in (
        ([], "one of them"),
        (["-m", str(EARLY), "--rate", "8000"], "one of them"),
        (["--rate", "8000", "--sigma", "0.5"], "--sigma does nothing"),
        (["--rate", "8000", "--seed", "3"], "--seed does nothing"),
    ):
        with pytest.raises(SystemExit):
            main([*arguments, *more])
        assert words in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main(["synth", str(source), "--rate", "8000"])
    assert "or with --from-bin" in capfd.readouterr().err
    for wrong in ({}, {"model": EARLY, "rate": 8000}):
        with pytest.raises(Error, match="one of them"):
            write_samples([source], [target], **wrong)
    with pytest.raises(Error, match="1 inputs were given for 0 outputs"):
        write_samples([source], [], rate=8000)


def test_a_mel_of_a_device_is_turned(tmp_path: Path) -> None:
    path, mel = tmp_path / "mel.bin", make_mel(9, bands=5)
    mels.save(path, mel)
    assert path.read_bytes() == np.ascontiguousarray(mel.T).tobytes()
    np.testing.assert_array_equal(mels.load(path, bands=5), mel)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FeatureError, match="no whole number of frames of 5"):
        mels.load(path, bands=5)
