"""LPCNet (Valin & Skoglund 2019; Valin et al. 2022): GRUs around linear prediction."""

from pyvoc.families.family import COMB, Family, FileFormat, Option, TrainFlag

FAMILY = Family(
    name="lpcnet",
    title="LPCNet",
    spec="spec:LPCNET",
    checkpoints="Keras .h5, DNNw weight blob",
    files=(
        FileFormat(b"\x89HDF\r\n\x1a\n", "a Keras HDF5 checkpoint", "from_h5:read_lpcnet_h5"),
        FileFormat(b"DNNw", "a DNNw weight blob", "from_dnnw:read_lpcnet_dnnw"),
    ),
    options=(
        Option(
            "tables",
            "GRU A's three tables of an int8 model: int16 (default), or int8, with which the file "
            "is over a third smaller and as fast",
            choices=("int16", "int8"),
            command="convert",
        ),
        COMB,
    ),
    report="report:compare",
    network="torch_model:Lpcnet",
    trainer="train.task:build",
    train_flags=(
        TrainFlag("use_horovod", instead="torchrun --nproc-per-node N -m pyvoc train lpcnet"),
        TrainFlag("num_mlus", instead="--device mlu, and torchrun for several"),
        TrainFlag("num_gpus", instead="--device cuda, and torchrun for several"),
    ),
    not_exported="its network runs once per sample, inside the loop that draws the samples",
    likelihood="likelihood:SCORER",
    benchmarks={"lpcnet": "bench.case:Lpcnet", "features": "bench.case:Features"},
)
