"""Settings of tiny networks of every family, all at 16 kHz; some seconds teach them something."""

from __future__ import annotations

from typing import Any

import yaml

SETTINGS: dict[str, dict[str, Any]] = yaml.safe_load("""
lpcnet:
  batch_size: 8
  steps_per_epoch: 100
  lr: 5.0e-3
  model: {gru_a: 32, gru_b: 16, cond: 16, pitch_embedding: 8, embedding: 16, sparsify_from: 999,
    sparsify_to: 999}
  data: {frames_per_chunk: 4, chunks_per_segment: 3, augment: {speeds: [1.0]}}
fargan:
  batch_size: 4
  steps_per_epoch: 80
  lr: 4.0e-3
  model: {pitch_embedding: 4, cond1: 16, cond2: 32, cond: 32, fwc: 64, gru1: 48, gru2: 32, gru3: 32,
    skip: 32}
  data: {frames: 9, long_share: 0, augment: {gain_db: [0, 0], mute: 0, noise_share: 0, tilt: 0}}
hifigan:
  batch_size: 4
  steps_per_epoch: 180
  lr: 2.0e-3
  model: {resblock: "2", upsample_rates: [8, 8, 4], upsample_kernel_sizes: [16, 16, 8],
    upsample_initial_channel: 32, resblock_kernel_sizes: [3, 5],
    resblock_dilation_sizes: [[1, 2], [2, 6]], periods: [2, 3], mpd_channels: [2, 4, 8], scales: 1,
    msd_channels: [4, 4, 8, 8, 8, 8, 8], msd_groups: [1, 2, 2, 4, 4, 4, 1],
    mel: {sample_rate: 16000}}
  data: {segment: 2048}
melgan:
  batch_size: 4
  steps_per_epoch: 240
  lr: 1.0e-3
  model: {upstream: descript, mel_weight: 15, channels: 32, ratios: [8, 8, 4], blocks: 2, scales: 2,
    discriminator_channels: [8, 16, 32, 32], mel: {sample_rate: 16000, fmax: 8000}}
  data: {segment: 4096}
wavernn:
  batch_size: 16
  steps_per_epoch: 150
  lr: 4.0e-3
  model: {mode: raw, bits: 8, rnn_dims: 32, fc_dims: 32, compute_dims: 16, res_out_dims: 16,
    res_blocks: 1, upsample_factors: [8, 10], mel: {sample_rate: 16000, bands: 20, hop_length: 80,
    window_length: 320, fft_length: 512, pad: 256, fmax: 8000}}
  data: {segment: 400}
waveglow:
  batch_size: 4
  steps_per_epoch: 120
  lr: 3.0e-3
  model: {n_flows: 4, n_early_every: 2, n_layers: 3, n_channels: 16, mel: {sample_rate: 16000,
    bands: 20}}
  data: {segment: 2048}
""")
