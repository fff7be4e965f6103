"""What a file is, for people: the kinds that get into a reader's hands by mistake.

Readers ask, so that the message of a refusal says what the file is and what to do with it, and not
only what it is not. Raw samples may begin with any bytes: a kind is told by so many of them that
none does by chance.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyvoc.errors import Error

__all__ = ["Kind", "instead_of", "kind_of"]

MAX_TEXT = 1 << 16
_SHOWN = 4
"""Names of a file's contents in a sentence."""
_MAGIC = (
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"RIFF", "audio (wav)"),
    (b"fLaC", "audio (flac)"),
    (b"OggS", "audio (ogg)"),
    (b"FORM", "audio (aiff)"),
    (b"ID3\2\0", "audio (mp3)"),
    (b"ID3\3\0", "audio (mp3)"),
    (b"ID3\4\0", "audio (mp3)"),
    (b"DNNw", "a blob of weights (DNNw)"),
    (b"BZh91AY&SY", "packed with bzip2"),
    (b"\xfd7zXZ\0", "packed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\x7fELF", "a program or a library (ELF)"),
    (b"SQLite format 3", "a database (SQLite)"),
)
_PACKED = ("bzip2", "xz", "7-Zip", "RAR")
_CONVERT = "`pyvoc info CKPT` says of which family, `pyvoc convert CKPT -o MODEL.gguf` converts it"
_ARRAY = "save one array as .npy, [frames, bands]"
_LEGACY_TORCH = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
_SETTING = re.compile(r"\s*[\"']?[A-Za-z_]\w*[\"']?\s*[:=]\s*\S.*")
_SHAPE = re.compile(rb"'shape': \(([0-9, ]*)\)")


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Parameters
    ----------
    what
        With its article: ``a NumPy archive (.npz) of 'mel' [80, 30]``.
    advice
        What to do with it; empty where there is none.
    checkpoint
        It may be a checkpoint that `pyvoc convert` reads.
    """

    what: str
    advice: str = ""
    checkpoint: bool = False

    def __str__(self) -> str:
        return f"{self.what} ({self.advice})" if self.advice else self.what


def kind_of(source: str | os.PathLike[str] | bytes) -> Kind | None:
    """What a file is; None where it is nothing that is known.

    Parameters
    ----------
    source
        The file, or its contents.

    Raises
    ------
    Error
        The operating system refused to read.
    """
    try:
        if isinstance(source, bytes):
            return _kind(io.BytesIO(source), len(source), "")
        with open(source, "rb") as file:
            return _kind(file, os.fstat(file.fileno()).st_size, Path(source).suffix.lower())
    except OSError as error:
        raise Error(f"{source!s}: cannot be read: {error.strerror}") from error


def instead_of(expected: str, source: str | os.PathLike[str] | bytes) -> str | None:
    """The end of a sentence that begins with the file's name; None where it is nothing known.

    Parameters
    ----------
    expected
        What the reader reads.
    source
        The file, or its contents.
    """
    kind = kind_of(source)
    if kind is None:
        return None
    return f"is {kind.what}; expected {expected}" + (f" ({kind.advice})" if kind.advice else "")


def _kind(file: Any, size: int, suffix: str) -> Kind | None:
    head = file.read(MAX_TEXT)
    if not head:
        return Kind("an empty file")
    if head.startswith(b"version https://git-lfs"):
        return Kind("a git-lfs pointer, not the file itself", "`git lfs pull` fetches that")
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body)\b", head, re.IGNORECASE):
        return Kind("a web page that was saved in place of a file", "download the file itself")
    if head.startswith(b"GGUF"):
        return _gguf(head)
    if head.startswith(b"PK\3\4"):
        return _zip(file)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5(file)
    if head[4:8] == b"TFL3":
        return Kind("a TensorFlow Lite model (.tflite)")
    if head[257:262] == b"ustar":
        return Kind("a tar archive", "unpack it; a .nemo file is one too")
    if head[:1] == b"\x80" and _LEGACY_TORCH in head[:32]:
        return Kind("a PyTorch file, from before PyTorch 1.6", _CONVERT, checkpoint=True)
    if re.match(rb"\x80[\2\3][\](}cX]|\x80[\4\5]\x95.{5}\0\0\0", head, re.DOTALL):
        file.seek(size - 1)
        if file.read(1) == b".":
            return Kind("a Python pickle, which torch.save did not write")
    if head[8:10] in (b'{"', b"{}") and int.from_bytes(head[:8], "little") <= size - 8:
        return Kind("a safetensors file", _CONVERT, checkpoint=True)
    if re.match(rb"\x1f\x8b\x08[\0-\x1f].{4}[\0\2\4][\0\3\x0b\xff]", head, re.DOTALL):
        return Kind("packed with gzip", "unpack it")
    if _is_onnx(head, suffix):
        return Kind("an ONNX graph", "its training checkpoint is what can be converted")
    for magic, what in _MAGIC:
        if head.startswith(magic):
            advice = "unpack it" if any(word in what for word in _PACKED) else ""
            return Kind(what, advice, checkpoint=magic == b"DNNw")
    return _text(head)


def _gguf(head: bytes) -> Kind:
    match = re.search(rb"general\.architecture\x08\0\0\0(.)\0{7}([\w.-]{1,64})", head[:4096], re.S)
    name = match[2][: match[1][0]].decode("ascii") if match else ""
    if name.startswith("pyvoc."):
        return Kind("a model file (GGUF)")
    return Kind(f"a GGUF model of another program ('{name}')" if name else "a GGUF file")


def _zip(file: Any) -> Kind:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()[:10_000]
            if "model.weights.h5" in names:
                return Kind(
                    "a Keras 3 model (.keras)",
                    "save it with Keras 2: TF_USE_LEGACY_KERAS=1, model.save('model.h5')",
                )
            arrays = [name for name in names if name.endswith(".npy")]
            if arrays and len(arrays) == len(names):
                shown = [_npy(archive, name) for name in arrays[:_SHOWN]]
                return Kind(f"a NumPy archive (.npz) of {_some(shown, len(arrays))}", _ARRAY)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return Kind("a damaged zip archive: PyTorch's, Keras's or NumPy's", checkpoint=True)
    if any(name.endswith("/constants.pkl") for name in names):
        return Kind("a TorchScript program", "its checkpoint, a state_dict, is what is read")
    if any(name.endswith("/data.pkl") for name in names):
        return Kind("a PyTorch file", _CONVERT, checkpoint=True)
    if "[Content_Types].xml" in names:
        return Kind("an office document")
    return Kind(
        f"a zip archive of {_some([repr(name[:60]) for name in names[:_SHOWN]], len(names))}"
    )


def _npy(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as member:
        match = _SHAPE.search(member.read(256))
    shape = match[1].decode().strip().rstrip(",") if match else "?"
    return f"{name.removesuffix('.npy')[:60]!r} [{shape}]"


def _hdf5(file: Any) -> Kind:
    try:
        import h5py
    except ImportError:
        return Kind("an HDF5 file", checkpoint=True)
    try:
        file.seek(0)
        with h5py.File(file, "r") as root:
            names = sorted(root)
            if "model_weights" in names or "layer_names" in root.attrs:
                return Kind("a Keras HDF5 checkpoint", _CONVERT, checkpoint=True)
            if "layers" in names or "_layer_checkpoint_dependencies" in names:
                return Kind(
                    "a Keras 3 weights file (.weights.h5)",
                    "save it with Keras 2: TF_USE_LEGACY_KERAS=1, model.save_weights('model.h5')",
                )
            shown = [_dataset(root, name, h5py) for name in names[:_SHOWN]]
            some = _some(shown, len(names))
            if any(isinstance(_local(root, name, h5py), h5py.Dataset) for name in names):
                return Kind(f"an HDF5 file of {some}", _ARRAY)
            return Kind(f"an HDF5 file of {some}", checkpoint=True)
    except Exception:  # h5py raises what it likes for a damaged file
        return Kind("a damaged HDF5 file", checkpoint=True)


def _local(root: Any, name: str, h5py: Any) -> Any:
    """What is in the file itself, not behind a link that may leave it."""
    return root[name] if isinstance(root.get(name, getlink=True), h5py.HardLink) else None


def _dataset(root: Any, name: str, h5py: Any) -> str:
    item = _local(root, name, h5py)
    return f"{name[:60]!r} {list(item.shape)}" if hasattr(item, "shape") else repr(name[:60])


def _some(shown: list[str], total: int) -> str:
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return (", ".join(shown) or "nothing") + more


def _is_onnx(head: bytes, suffix: str) -> bool:
    """ONNX begins with its version (field 1), then the producer's name (2) or the graph (7, 8)."""
    if len(head) < 8 or head[:1] != b"\x08" or not 3 <= head[1] <= 20:
        return False
    producer = head[4 : 4 + head[3]] if head[2:3] == b"\x12" else b""
    return suffix == ".onnx" or re.fullmatch(rb"[\w. -]{3,}", producer) is not None


def _text(head: bytes) -> Kind | None:
    try:
        text = head.decode("utf-8") if len(head) < MAX_TEXT else head.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return None
    if len(text) < 8 or not all(c.isprintable() or c in "\t\r\n\f" for c in text[:4096]):
        return None
    advice = "`pyvoc convert CKPT --recipe FILE` takes a mel's settings from it"
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return Kind("a text file")
        return Kind("settings of another program (JSON)", advice)
    lines = [line for line in text.splitlines() if line.strip() and line.strip()[0] not in "#-"]
    if len(lines) >= 2 and sum(bool(_SETTING.fullmatch(line)) for line in lines) > len(lines) / 2:
        return Kind("settings of another program (text)", advice)
    return Kind("a text file")
