"""FARGAN (Valin, Mustafa & Buethe 2024): GRUs that write 2.5 ms at a time."""

from pyvoc.families.family import Family, FileFormat

FAMILY = Family(
    name="fargan",
    title="FARGAN",
    spec="spec:FARGAN",
    checkpoints="Opus's sources (a folder, .tar.gz, dnn/fargan_data.c), DNNw weight blob, PyTorch "
    ".pth",
    files=(
        FileFormat(b"DNNw", "a DNNw weight blob", "from_dnnw:read_dnnw", holds="from_dnnw:holds"),
        FileFormat(
            b"",
            "Opus's sources (a folder, an archive, or dnn/fargan_data.c)",
            "from_sources:read_sources",
            holds="from_sources:holds",
        ),
    ),
    tensors="convert:TENSORS",
    report="report:compare",
    network="torch_model:Fargan",
    trainer="train.task:build",
    training={
        "lr": 2e-3,
        "lr_decay": 1e-4,
        "batch_size": 128,
        "validate_every": 1000,
        "checkpoint_every": 1000,
    },
    draws="none: the same features always give the same samples",
    benchmarks={"fargan": "bench.case:Fargan"},
    not_exported="its network runs every 40 samples, and reads those before",
)
