"""MelGAN (Kumar et al. 2019): transposed convolutions with dilated residual stacks."""

from pyvoc.families.family import Family

FAMILY = Family(
    name="melgan",
    title="MelGAN",
    spec="spec:MELGAN",
    checkpoints="PyTorch .pt, .safetensors, MindSpore .ckpt",
    tensors="convert:TENSORS",
    draws="",
    calibrated=True,
    network="torch_model:Melgan",
    exporter="export:EXPORTER",
    benchmarks={"melgan": "bench.case:Melgan"},
)
