"""WaveGlow (Prenger et al. 2018): a flow of affine couplings and 1x1 convolutions."""

from pyvoc.families.family import Family, Option, TrainFlag

FAMILY = Family(
    name="waveglow",
    title="WaveGlow",
    spec="spec:WAVEGLOW",
    checkpoints="PyTorch .pt, .safetensors, MindSpore .ckpt",
    tensors="convert:TENSORS",
    options=(
        Option(
            "sigma",
            "standard deviation of the noise; default: the model's",
            kind=float,
            low=0.0,
            high=4.0,
            metavar="S",
        ),
        Option(
            "halves",
            "which half of the channels the flows read: the first, or one and the other in turns "
            "as in the generation of 2018 (default: what the file says)",
            choices=("first", "alternate"),
            command="convert",
        ),
    ),
    draws="standard normal noise, [z_0, z_1, ...] flattened",
    noise_channels="spec:noise_channels",
    calibrated=True,
    network="torch_model:Waveglow",
    trainer="train.task:build",
    training={
        "lr": 1e-4,
        "schedule": "constant",
        "batch_size": 12,
        "epochs": 532,
        "checkpoint_every": 2000,
        "validate_every": 2000,
    },
    recipes="train.recipes:translate",
    train_flags=(
        TrainFlag("data_path", "data.path"),
        TrainFlag("output_directory", "model_dir"),
        TrainFlag("checkpoint_path", "finetune"),
        TrainFlag("fp16_run", "use_amp"),
        TrainFlag("learning_rate", "lr"),
        TrainFlag("sigma", "model.sigma"),
        TrainFlag("iters_per_checkpoint", "checkpoint_every"),
        TrainFlag("c", "config"),
        TrainFlag("pth_path", instead="pyvoc evaluate --nll MODEL.gguf RECORDINGS"),
    ),
    exporter="export:EXPORTER",
    likelihood="likelihood:SCORER",
    benchmarks={"waveglow": "bench.case:Waveglow"},
)
