"""MelGAN (Kumar et al. 2019): transposed convolutions with dilated residual stacks."""

from pyvoc.families.family import Family, Option

FAMILY = Family(
    name="melgan",
    title="MelGAN",
    spec="spec:MELGAN",
    checkpoints="PyTorch .pt, .safetensors, MindSpore .ckpt",
    tensors="convert:TENSORS",
    options=(
        Option(
            "tail_frames",
            "speak so many frames of silence behind the last one, and cut off what they said: the "
            "end is not mirrored then (upstream's inference: 10)",
            kind=int,
            low=0,
            high=1000,
            metavar="N",
        ),
    ),
    draws="",
    calibrated=True,
    network="torch_model:Melgan",
    trainer="train.task:build",
    training={
        "lr": 1e-4,
        "schedule": "constant",
        "epochs": 3000,
        "checkpoint_every": 4000,
        "validate_every": 1000,
    },
    recipes="train.recipes:translate",
    exporter="export:EXPORTER",
    benchmarks={"melgan": "bench.case:Melgan"},
)
