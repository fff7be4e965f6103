"""HiFi-GAN (Kong et al. 2020): transposed convolutions with residual chains side by side."""

from pyvoc.families.family import Family

FAMILY = Family(
    name="hifigan",
    title="HiFi-GAN",
    spec="spec:HIFIGAN",
    checkpoints="PyTorch g_*, .pt, .pkl, .safetensors",
    tensors="convert:TENSORS",
    draws="",
    calibrated=True,
    network="torch_model:Hifigan",
    trainer="train.task:build",
    training={
        "lr": 2e-4,
        "schedule": "epochs",
        "lr_gamma": 0.999,
        "epochs": 3100,
        "checkpoint_every": 5000,
        "validate_every": 1000,
    },
    recipes="train.recipes:translate",
    exporter="export:EXPORTER",
    benchmarks={"hifigan": "bench.case:Hifigan", "hifigan-v2": "bench.case:HifiganV2"},
)
