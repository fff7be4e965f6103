"""Checkpoints of a small WaveGlow as NVIDIA's programs write them: state dicts and modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch_files import Raw, Writer, build, call, encode, glob, legacy_bytes, pickled, pid, save_zip
from waveglow_files import arrays, settings

from pyvoc.convert.detect import detect
from pyvoc.families.waveglow.spec import WaveglowSettings

MAGNITUDE = {
    "g": ("weight_g", "weight_v"),
    "parametrized": ("parametrizations.weight.original0", "parametrizations.weight.original1"),
}
GLOW = """
class WaveGlow(torch.nn.Module):
    def infer(self, spect, sigma=1.0):
        for k in reversed(range(self.n_flows)):
            if k % self.n_early_every == 0 and k > 0: pass
"""
GLOW_OLD = GLOW + "            if k%2 == 0: pass\n"


def sizes(arrays: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Flows, and layers of each."""
    flows = sum(name.endswith(".mix.weight") for name in arrays)
    layers = sum(name.startswith("flow.0.") and name.endswith(".cond.bias") for name in arrays)
    return flows, layers


def plain(
    arrays: Mapping[str, np.ndarray], *, outputs: str = "fused", conditioning: str = "fused"
) -> dict[str, np.ndarray]:
    """Upstream's tensors without weight norm; layers are ``fused`` or ``separate``."""
    flows, layers = sizes(arrays)
    found = {f"upsample.{leaf}": arrays[f"upsample.{leaf}"] for leaf in ("weight", "bias")}
    for k in range(flows):
        flow, wn = f"flow.{k}", f"WN.{k}"
        found[f"convinv.{k}.conv.weight"] = arrays[f"{flow}.mix.weight"][:, :, None]
        for leaf in ("weight", "bias"):
            for name in ("start", "end"):
                found[f"{wn}.{name}.{leaf}"] = arrays[f"{flow}.{name}.{leaf}"]
            cond = [arrays[f"{flow}.layer.{i}.cond.{leaf}"] for i in range(layers)]
            if conditioning == "fused":
                found[f"{wn}.cond_layer.{leaf}"] = np.concatenate(cond)
            for i in range(layers):
                found[f"{wn}.in_layers.{i}.{leaf}"] = arrays[f"{flow}.layer.{i}.conv.{leaf}"]
                if conditioning != "fused":
                    found[f"{wn}.cond_layers.{i}.{leaf}"] = cond[i]
                out = arrays[f"{flow}.layer.{i}.out.{leaf}"]
                if outputs == "fused":
                    found[f"{wn}.res_skip_layers.{i}.{leaf}"] = out
                    continue
                parts = np.split(out, 2) if i < layers - 1 else [out]
                found[f"{wn}.skip_layers.{i}.{leaf}"] = parts[-1]
                if i < layers - 1:
                    found[f"{wn}.res_layers.{i}.{leaf}"] = parts[0]
    return {name: np.ascontiguousarray(array, "<f4") for name, array in found.items()}


def state_dict(
    arrays: Mapping[str, np.ndarray], *, norm: str = "", prefix: str = "", **kinds: str
) -> dict[str, np.ndarray]:
    """A state dict; `norm` is ``g``, ``parametrized`` or nothing, `kinds` as `plain`'s."""
    rng = np.random.default_rng(3)
    found = {}
    for name, array in plain(arrays, **kinds).items():
        layer, leaf = name.rsplit(".", 1)
        normed = layer.startswith("WN.") and not layer.endswith(".end")
        if not norm or leaf == "bias" or not normed:
            found[prefix + name] = array
            continue
        g, v = MAGNITUDE[norm]
        length = np.sqrt((array.astype(np.float64) ** 2).sum(axis=(1, 2), keepdims=True))
        found[f"{prefix}{layer}.{g}"] = length.astype("<f4")
        found[f"{prefix}{layer}.{v}"] = (array * rng.uniform(0.5, 2, length.shape)).astype("<f4")
    return found


def config(arrays: Mapping[str, np.ndarray], model: WaveglowSettings) -> dict[str, Any]:
    """Upstream's settings."""
    flows, layers = sizes(arrays)
    return {
        "n_mel_channels": model.recipe.bands,
        "n_flows": flows,
        "n_group": model.groups,
        "n_early_every": model.early_every,
        "n_early_size": model.early_size,
        "WN_config": {
            "n_layers": layers,
            "n_channels": len(arrays["flow.0.start.bias"]),
            "kernel_size": 3,
        },
    }


class Modules:
    """Pickles a WaveGlow as the instances of its classes.

    Parameters
    ----------
    writer
        Collects the storages.
    module
        Where the classes come from: ``glow``, ``glow_old`` ...
    sources
        Of the classes by name: they travel as persistent ids, which older files have.
    """

    def __init__(
        self, writer: Writer, module: str = "glow", sources: Mapping[str, str] | None = None
    ) -> None:
        self._writer = writer
        self._module = module
        self._sources = dict(sources or {})

    def object(self, kind: str, attributes: dict[str, Any], *, home: str = "") -> Raw:
        """An instance with its attributes."""
        name = glob(home or self._module, kind)
        source = self._sources.pop(kind, None)
        if source is not None:
            name = pid("module", name, f"/home/x/{self._module}.py", source)
        return build(Raw(encode(name) + b")\x81"), attributes)

    def part(
        self,
        kind: str,
        *,
        home: str = "",
        tensors: Mapping[str, np.ndarray] | None = None,
        children: Mapping[str, Any] | None = None,
        **attributes: Any,
    ) -> Raw:
        """A module, with what PyTorch keeps in each of them."""
        hook = call(glob("collections", "OrderedDict"))
        weights = {name: self._parameter(a) for name, a in (tensors or {}).items()}
        state = {
            "_backend": call(glob("torch.nn.backends.thnn", "_get_thnn_function_backend")),
            "_parameters": weights | ({} if "bias" in weights else {"bias": None}),
            "_buffers": hook,
            "_backward_hooks": hook,
            "_forward_pre_hooks": {
                7: self.object("WeightNorm", {"name": "weight"}, home="torch.nn.utils.weight_norm")
            },
            "_modules": dict(children or {}),
            "training": False,
            **attributes,
        }
        return self.object(kind, state, home=home)

    def _parameter(self, array: np.ndarray) -> Raw:
        tensor = self._writer.tensor(array)
        rebuild = glob("torch._utils", "_rebuild_parameter")
        return call(rebuild, tensor, True, call(glob("collections", "OrderedDict")))

    def waveglow(
        self, state: Mapping[str, np.ndarray], numbers: Mapping[str, Any], **changes: Any
    ) -> Raw:
        """The model of a state dict without a prefix.

        `changes`: ``hop``, ``dilation_base``, ``inverted`` (as after an ``infer``).
        """
        tree: dict[str, Any] = {}
        for name, array in state.items():
            *path, leaf = name.split(".")
            here = tree
            for step in path:
                here = here.setdefault(step, {})
            here[leaf] = array
        return self._module_of(tree, (), numbers, changes)

    def _module_of(
        self,
        tree: Mapping[str, Any],
        path: tuple[str, ...],
        numbers: Mapping[str, Any],
        changes: Mapping[str, Any],
    ) -> Raw:
        tensors = {k: v for k, v in tree.items() if isinstance(v, np.ndarray)}
        children = {
            k: self._module_of(v, (*path, k), numbers, changes)
            for k, v in tree.items()
            if isinstance(v, dict)
        }
        conv = {"home": "torch.nn.modules.conv", "tensors": tensors}
        if not path:
            whole = {k: v for k, v in numbers.items() if type(v) is int}
            return self.part("WaveGlow", tensors=tensors, children=children, **whole)
        if path == ("upsample",):
            return self.part("ConvTranspose1d", stride=(changes["hop"],), **conv)
        if len(path) == 2 and path[0] == "WN":
            whole = {k: numbers["WN_config"][k] for k in ("n_layers", "n_channels")}
            return self.part("WN", children=children, **whole)
        if len(path) == 2 and path[0] == "convinv":
            more = {}
            if changes.get("inverted"):
                more["W_inverse"] = self._writer.tensor(np.ones((2, 2, 1), "<f4"))
            return self.part("Invertible1x1Conv", children=children, **more)
        if children:
            return self.part("ModuleList", home="torch.nn.modules.container", children=children)
        dilation = 1
        if path[-2] == "in_layers":
            dilation = changes.get("dilation_base", 2) ** int(path[-1])
        return self.part("Conv1d", dilation=(dilation,), **conv)


def weights(name: str = "early.f32") -> dict[str, np.ndarray]:
    """A small model's arrays, float32 as in a checkpoint."""
    return {key: value.astype("<f4") for key, value in arrays(name).items()}


def read(path: Path, arch: str = "auto", **options: str) -> Any:
    return detect(path, arch, options=options)(path)


def same(found: Any, expected: dict[str, np.ndarray], exact: bool = True) -> None:
    assert found.arrays.keys() == expected.keys()
    for name, values in expected.items():
        assert found.arrays[name].shape == values.shape, name
        if exact:
            np.testing.assert_array_equal(found.arrays[name].astype("<f4"), values, name)
        else:
            np.testing.assert_allclose(
                found.arrays[name], values, rtol=0, atol=4e-7 * np.abs(values).max(), err_msg=name
            )


def module_file(
    path: Path,
    name: str,
    *,
    legacy: bool = False,
    wrap: Any = lambda model: {"model": model},
    module: str = "glow",
    sources: Any = None,
    **changes: Any,
) -> Path:
    """A checkpoint that holds a pickled module; `changes` for its tensors, settings and modules."""
    writer = Writer(legacy=legacy)
    kinds = {k: changes.pop(k) for k in ("norm", "outputs", "conditioning") if k in changes}
    numbers = config(arrays(name), settings(name)) | changes.pop("numbers", {})
    changes.setdefault("hop", settings(name).recipe.hop_length)
    model = Modules(writer, module, sources).waveglow(
        state_dict(arrays(name), **kinds), numbers, **changes
    )
    value = {"iteration": 3, "learning_rate": 1e-4, **wrap(model)}
    if not legacy:
        return save_zip(path, pickled(value), writer=writer)
    path.write_bytes(legacy_bytes(value, writer=writer))
    return path
