"""WaveRNN (Kalchbrenner et al. 2018; fatchord's network): two GRUs, sample by sample."""

from pyvoc.families.family import COMB, Family, Option, TrainFlag

FAMILY = Family(
    name="wavernn",
    title="WaveRNN",
    spec="spec:WAVERNN",
    checkpoints="PyTorch .pt, .pyt, .safetensors, MindSpore .ckpt, geneing's model.bin",
    tensors="convert:TENSORS",
    container="from_bin:CONTAINER",
    options=(
        Option(
            "fold",
            "speak parts of so many samples side by side, which is faster, and join them where "
            "they overlap (upstream: 11000,550)",
            kind=int,
            count=2,
            low=0,
            high=1 << 40,
            metavar="TARGET,OVERLAP",
            example="11000,550",
            form="(target, overlap) in samples",
            streams=False,
        ),
        Option(
            "upstream_compat",
            "fatchord's cross-fades of folds, its length (a hop less) and fade-out",
            kind=bool,
            streams=False,
        ),
        Option(
            "mode",
            "what the outputs are: a mixture of logistics, mu-law labels, or labels on a linear "
            "scale (default: told from their number, labels being mu-law, those of a network with "
            "a single GRU linear)",
            choices=("mol", "raw", "linear"),
            command="convert",
        ),
        Option(
            "sparsity",
            "make this fraction (0.9) of the sample loop's weights zero, the smallest in 8 x 4 "
            "blocks; for a model that was trained for it, or to see what speed it would have "
            "(default: prune nothing; zeros that are there are made use of)",
            kind=float,
            low=0.0,
            high=1.0,
            metavar="FRACTION",
            form="a fraction between 0 and 1, such as 0.9",
            command="convert",
        ),
        COMB,
    ),
    network="torch_model:Wavernn",
    trainer="train.task:build",
    training={
        "lr": 1e-4,
        "schedule": "constant",
        "clip_grad": 4.0,
        "batch_size": 32,
        "epochs": 2500,
        "checkpoint_every": 25000,
        "validate_every": 5000,
    },
    train_flags=(TrainFlag("checkpoint_path", "finetune"),),
    report="report:compare",
    not_exported="its network runs once per sample, inside the loop that draws the samples",
    likelihood="likelihood:SCORER",
    benchmarks={"wavernn": "bench.case:Wavernn"},
)
