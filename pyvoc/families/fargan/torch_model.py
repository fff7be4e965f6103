"""FARGAN in PyTorch: for training and in tests.

Valin, Mustafa & Buethe, "Very Low Complexity Speech Synthesis Using Framewise Autoregressive GAN
(FARGAN) with Pitch Prediction", 2024. Modules have the names of the spec's layers, so that
`pyvoc.train.weights` is the conversion.

Frame n of a call is told from features n - 1 to n + 1, and has the period of frame n: the runtime,
which is given frame n + 1 last, calls that "the frame before".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from pyvoc.families.fargan.spec import (
    FEATURES,
    LEAST_PERIOD,
    MOST_PERIOD,
    PERIODS,
    PREDICTION,
    SUBFRAME,
    SUBFRAMES,
    TAPS,
)
from pyvoc.families.fargan.train import native
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.train.network import SpecNetwork
from pyvoc.train.stepwise import Stepwise, gru_step, nearly

HOP = SUBFRAME * SUBFRAMES
PREEMPHASIS = 0.85
PITCH = 18
"""Index of the feature."""
PRIMING = 2
"""Frames of true signal that a sequence begins with."""
_PRIMING_ROWS = 5
"""Times that the runtime hears the first frame before a signal."""
_IMITATED = 16
"""Rows of an update that imitates: more teach no better, and the teacher's work is shared."""
_LEAST_GAIN = 1e-5
_STEP = 1.0 / 127.0
_GRUS = 3
_PERIOD = 16411
"""Numbers of noise that are made for each row: a prime, so that they come again elsewhere."""


def periods_of(features: Tensor) -> Tensor:
    """Periods in samples, int64 ``[...]``, of frames ``[..., 20]``.

    In double precision: LPCNet's search finds periods that end in a half, and which way those go
    must not depend on what lies beside them in a batch. On the host: some devices have no doubles.
    """
    pitch = features[..., PITCH].to("cpu", torch.float64)
    exact = MOST_PERIOD / torch.exp2(pitch + 1.5)
    return torch.floor(0.5 + exact).clamp(LEAST_PERIOD, MOST_PERIOD).long().to(features.device)


def places_of(periods: Tensor) -> Tensor:
    """Where in the history a period ago is: int64 ``[..., PREDICTION]`` of periods ``[...]``.

    From two samples earlier on; what would lie beyond the newest sample is taken a period before.
    """
    period = periods.unsqueeze(-1)
    places = MOST_PERIOD - period - 2 + torch.arange(PREDICTION, device=periods.device)
    return torch.where(places < MOST_PERIOD, places, places - period).clamp(min=0)


def _going_on(features: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """The periods of a sequence from its second frame on, and the history before it."""
    history = nn.functional.pad(true[:, :HOP], (MOST_PERIOD - HOP, 0))
    return periods_of(features[:, 1:-1])[:, 1:], history


def _a_step_ago(x: Tensor) -> Tensor:
    """Of ``[rows, subframes, units]``: zero first, the last one not at all."""
    return nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]


class Gated(nn.Linear):
    """A layer without bias, followed by a gate of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.gate = nn.Linear(outputs, outputs, bias=False)


class Gru(nn.Module):
    """A GRU without biases, gates r, z, n, whose output is gated and whose state is not."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.weight_ih = nn.Parameter(torch.empty(3 * units, inputs))
        self.weight_hh = nn.Parameter(torch.empty(3 * units, units))
        self.gate = nn.Linear(units, units, bias=False)
        nn.init.uniform_(self.weight_ih, -(units**-0.5), units**-0.5)
        nn.init.orthogonal_(self.weight_hh)


class Conditioning(nn.Module):
    """From features to what each subframe is given."""

    def __init__(self, config: FarganModel) -> None:
        super().__init__()
        inputs = FEATURES + config.pitch_embedding
        self.dense1 = nn.Linear(inputs, config.cond1, bias=False)
        self.conv = nn.Linear(TAPS * config.cond1, config.cond2, bias=False)
        self.dense2 = nn.Linear(config.cond2, SUBFRAMES * config.cond, bias=False)


class Noise:
    """Uniform noise, a pure function of each row's seed and of what was drawn before.

    Parameters
    ----------
    seeds
        int64 ``[rows]``.
    width
        It lies within half of it on either side of zero.
    dtype
        Of the noise.
    """

    def __init__(self, seeds: Tensor, width: float, dtype: torch.dtype) -> None:
        base = (seeds ^ (seeds >> 32)).to(torch.int32).unsqueeze(1)
        places = torch.arange(_PERIOD, device=seeds.device) * 0x9E3779B1
        bits = base + places.to(torch.int32)
        for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97), (15, 1)):
            bits ^= (bits >> shift) & ((1 << (32 - shift)) - 1)  # the sign is not to spread
            bits *= factor
        self._made = bits.to(dtype) * (width * 2.0**-32)
        self._at = 0

    def take(self) -> tuple[Tensor, int]:
        """All of it, ``[rows, period]``, and where the next draw begins: none may follow."""
        return self._made, self._at

    def draw(self, count: int) -> Tensor:
        """The next ``[rows, count]``; after `_PERIOD` they come again."""
        begin, self._at = self._at, self._at + count
        if self._at <= _PERIOD:
            return self._made[:, begin : self._at]
        self._at %= _PERIOD
        whole = (count - 1) // _PERIOD
        parts = (self._made[:, begin:], *[self._made] * whole, self._made)
        return torch.cat(parts, 1)[:, :count]

    def add(self, x: Tensor) -> Tensor:
        """Values ``[rows, ...]`` with noise, within -1 .. 1; the gradient passes."""
        return nearly(x, self.draw(x[0].numel()).reshape(x.shape))


class Fargan(SpecNetwork):
    """The network.

    Parameters
    ----------
    config
        Its sizes; and the width of the noise in training.
    normed
        Whether the framewise convolution and the gates are a direction and a magnitude (weight
        norm), as upstream trains them; in a model file they are always folded.
    """

    shape_of = staticmethod(FarganModel.of)

    def __init__(self, config: FarganModel, *, normed: bool = False) -> None:
        super().__init__()
        self.config = config
        past = 2 * SUBFRAME
        subframe = config.cond + PREDICTION + SUBFRAME
        self.embed_pitch = nn.Embedding(PERIODS, config.pitch_embedding)
        self.cond = Conditioning(config)
        self.gain = nn.Linear(config.cond, 1)
        self.fwc = Gated(2 * subframe, config.fwc)
        self.pitch_gates = nn.Linear(config.fwc, _GRUS + 1)
        self.gru1 = Gru(config.fwc + past, config.gru1)
        self.gru2 = Gru(config.gru1 + past, config.gru2)
        self.gru3 = Gru(config.gru2 + past, config.gru3)
        outputs = config.gru1 + config.gru2 + config.gru3 + config.fwc
        self.skip = Gated(outputs + past, config.skip)
        self.out = nn.Linear(config.skip, SUBFRAME, bias=False)
        gates = [layer.gate for layer in (self.fwc, self.gru1, self.gru2, self.gru3, self.skip)]
        for layer in (self.fwc, *gates):
            nn.init.orthogonal_(layer.weight)
            if normed:
                weight_norm(layer)

    def conditioning(self) -> Iterable[nn.Parameter]:
        """What the second stage of training leaves as it is."""
        for module in (self.embed_pitch, self.cond, self.gain):
            yield from module.parameters()

    def condition(
        self, features: Tensor, noise: Noise | None = None, *, start: bool = False
    ) -> Tensor:
        """What subframes are given.

        Parameters
        ----------
        features
            ``[rows, frames, 20]``.
        noise
            On what int8 layers read.
        start
            Whether there is nothing before the first frame; otherwise the first two frames only
            precede the others.

        Returns
        -------
        Tensor
            ``[rows, frames - 2 (with start: frames), 4, cond]``.
        """
        embedded = self.embed_pitch((periods_of(features) - LEAST_PERIOD).clamp(max=PERIODS - 1))
        x = torch.tanh(self.cond.dense1(torch.cat((features, embedded), -1)))
        if start:
            x = nn.functional.pad(x, (0, 0, TAPS - 1, 0))
        x = x.unfold(1, TAPS, 1).transpose(2, 3).flatten(2)
        x = torch.tanh(self.cond.conv(x if noise is None else noise.add(x)))
        x = torch.tanh(self.cond.dense2(x if noise is None else noise.add(x)))
        return x.view(*x.shape[:2], SUBFRAMES, -1).to(features.dtype)

    def forward(self, features: Tensor, true: Tensor, seeds: Tensor | None = None) -> Tensor:
        """A sequence that goes on from true signal.

        Parameters
        ----------
        features
            ``[rows, frames + 2, 20]``: those of the sequence, one before and one after it.
        true
            Pre-emphasised signal of the first two frames, -1..1: ``[rows, 320]``.
        seeds
            Of the noise, int64 ``[rows]``; None for none.

        Returns
        -------
        Tensor
            ``[rows, 160 frames]``, pre-emphasised, of which the first two frames are `true`.
        """
        noise = self._noise(seeds, features.dtype)
        cond = self.condition(features, noise)
        made = self.write(cond[:, 1:], *_going_on(features, true), true[:, HOP:], noise)
        return torch.cat((true[:, :HOP], made), 1)

    def _noise(self, seeds: Tensor | None, dtype: torch.dtype) -> Noise | None:
        """On what int8 layers read in training; None for none."""
        width = self.config.noise
        return Noise(seeds, width * _STEP, dtype) if seeds is not None and width > 0 else None

    def imitate(
        self, teacher: Fargan, features: Tensor, true: Tensor, seeds: Tensor
    ) -> Iterator[Tensor]:
        """How far this network is from another of the same sizes, layer by layer.

        The teacher goes on from true signal, hearing itself. Each layer here is given what the
        teacher's was, so that none waits for those before it to be learned.

        Parameters
        ----------
        teacher
            Its layers are imitated.
        features, true, seeds
            As in `forward`.

        Yields
        ------
        Tensor
            Of sixteen rows after the other, as far as there are whole sixteens, so that what the
            teacher did serves several updates: the mean over layers (with the conditioning and the
            gains' logarithms) of the absolute difference, over the teacher's mean absolute value
            in that layer.
        """
        periods, history = _going_on(features, true)
        with torch.no_grad():
            told = teacher.condition(features)
            wrote = teacher.write(told[:, 1:], periods, history, true[:, HOP:])
            theirs = teacher.layers(told[:, 1:], periods, history, wrote)
            gains = teacher.gain(told)
        size = _IMITATED if len(seeds) % _IMITATED == 0 else len(seeds)
        for begin in range(0, len(seeds), size):
            rows = slice(begin, begin + size)
            noise = self._noise(seeds[rows], features.dtype)
            cond = self.condition(features[rows], noise)
            heard = (periods[rows], history[rows], wrote[rows])
            given = [layer[rows] for layer in theirs]
            ours = self.layers(told[rows, 1:], *heard, noise, given)
            pairs = [(cond, told[rows]), (self.gain(told[rows]), gains[rows])]
            pairs += zip(ours, given, strict=True)
            yield torch.stack([(a - b).abs().mean() / b.abs().mean() for a, b in pairs]).mean()

    def layers(
        self,
        cond: Tensor,
        periods: Tensor,
        history: Tensor,
        signal: Tensor,
        noise: Noise | None = None,
        given: list[Tensor] | None = None,
    ) -> list[Tensor]:
        """What each layer gives where the signal is known, so that only GRUs go step by step.

        Parameters
        ----------
        cond, periods, history, noise
            As in `write`.
        signal
            What is heard after `history`, ``[rows, 160 frames]``.
        given
            What each layer is to hear of those before it, and of itself a step ago; None for its
            own network's.

        Returns
        -------
        list
            Of the framewise convolution, of each GRU its state and its output, of the skip layer,
            all with their gates, and the samples before the gain: ``[rows, subframes, units]``.
        """
        cond = cond.flatten(1, 2)
        begin = SUBFRAME * torch.arange(cond.shape[1], device=cond.device).unsqueeze(1)
        ago = places_of(periods).repeat_interleave(SUBFRAMES, 1) + begin
        newest = torch.arange(MOST_PERIOD - SUBFRAME, MOST_PERIOD, device=cond.device) + begin
        places = torch.cat((ago, newest.expand(len(ago), -1, -1)), 2)
        past = torch.cat((history, signal), 1).gather(1, places.flatten(1)).view(places.shape)
        past = (past / (_LEAST_GAIN + torch.exp(self.gain(cond)))).clamp(-1.0, 1.0)

        def read(matrix: Tensor, x: Tensor) -> Tensor:
            return nn.functional.linear(x if noise is None else noise.add(x), matrix)

        def gated(gate: nn.Linear, x: Tensor) -> Tensor:
            return x * torch.sigmoid(read(gate.weight, x))

        found: list[Tensor] = []

        def gives(x: Tensor) -> Tensor:
            found.append(x)
            return x if given is None else given[len(found) - 1]

        x = torch.cat((cond, past), 2)
        hidden = torch.tanh(read(self.fwc.weight, torch.cat((_a_step_ago(x), x), 2)))
        fwc = gives(gated(self.fwc.gate, hidden))
        gates = torch.sigmoid(self.pitch_gates(fwc)).unsqueeze(3).unbind(2)
        predicted, previous = past[..., 2 : 2 + SUBFRAME], past[..., PREDICTION:]
        outputs, last = [], fwc
        for gru, pitch_gate in zip((self.gru1, self.gru2, self.gru3), gates, strict=False):
            inputs = read(gru.weight_ih, torch.cat((last, pitch_gate * predicted, previous), 2))
            if given is None:
                recurrent = Stepwise(gru.weight_hh)
                states = [inputs.new_zeros(len(inputs), gru.units)]
                for step in inputs.unbind(1):
                    added = None if noise is None else noise.draw(gru.units)
                    states.append(gru_step(step, recurrent(states[-1], added), states[-1]))
                state = torch.stack(states[1:], 1)
            else:
                before = _a_step_ago(given[len(found)])
                state = gru_step(inputs, read(gru.weight_hh, before), before)
            last = gives(gated(gru.gate, gives(state)))
            outputs.append(last)
        together = torch.cat((*outputs, fwc, gates[_GRUS] * predicted, previous), 2)
        skip = gives(gated(self.skip.gate, torch.tanh(read(self.skip.weight, together))))
        gives(torch.tanh(self.out(skip)))
        return found

    def synthesize(self, features: Tensor) -> Tensor:
        """Samples ``[rows, 160 frames]`` of features ``[rows, frames, 20]``, as the runtime's."""
        first, last = features[:, :1], features[:, -1:]
        rows = torch.cat((first.expand(-1, _PRIMING_ROWS, -1), features[:, 1:], last, last), 1)
        at = _PRIMING_ROWS - 1
        cond = self.condition(rows, start=True)[:, at:]
        silence = features.new_zeros(len(features), MOST_PERIOD)
        made = self.write(cond, periods_of(rows[:, at - 1 : -1]), silence, silence[:, :HOP])
        samples, memory = [], silence[:, 0]
        for y in made[:, HOP:].unbind(1):
            memory = y + PREEMPHASIS * memory
            samples.append(memory)
        return torch.stack(samples[HOP // 2 : -(HOP // 2)], 1)

    def write(
        self,
        cond: Tensor,
        periods: Tensor,
        history: Tensor,
        forced: Tensor,
        noise: Noise | None = None,
    ) -> Tensor:
        """The loop over subframes; all other state begins at zero.

        On a processor, in float32, it is pyvoc's own kernel, elsewhere the same in PyTorch. The
        noise is used up.

        Parameters
        ----------
        cond
            ``[rows, frames, 4, cond]``.
        periods
            int64 ``[rows, frames]``.
        history
            ``[rows, 256]``, what precedes.
        forced
            ``[rows, samples]``, whole subframes: what takes the place of the first ones that the
            network writes.
        noise
            On what int8 layers read.

        Returns
        -------
        Tensor
            ``[rows, 160 frames]``, pre-emphasised.
        """
        cond = cond.flatten(1, 2)
        gains = torch.exp(self.gain(cond)).to(cond.dtype).squeeze(2)
        scales = 1.0 / (_LEAST_GAIN + gains)
        places = places_of(periods)
        forced = forced[:, : SUBFRAME * cond.shape[1]]
        plain = cond.device.type == "cpu" and cond.dtype == self.out.weight.dtype == torch.float32
        if plain and not torch.is_autocast_enabled("cpu"):
            taken = None if noise is None else noise.take()
            matrices = self._matrices()
            bias = self.pitch_gates.bias
            return native.write(cond, gains, scales, places, history, forced, taken, bias, matrices)
        return self._write(cond, gains, scales, places, history, forced, noise)

    def _matrices(self) -> list[Tensor]:
        """In the order of a subframe."""
        found = [self.fwc.weight, self.fwc.gate.weight, self.pitch_gates.weight]
        for gru in (self.gru1, self.gru2, self.gru3):
            found += (gru.weight_ih, gru.weight_hh, gru.gate.weight)
        return [*found, self.skip.weight, self.skip.gate.weight, self.out.weight]

    def _write(
        self,
        cond: Tensor,
        gains: Tensor,
        scales: Tensor,
        places: Tensor,
        history: Tensor,
        forced: Tensor,
        noise: Noise | None,
    ) -> Tensor:
        """The loop in PyTorch, step by step; arguments as `native.write` and `write` have them."""
        step = _Step(self, len(cond), cond, noise)
        given = forced.shape[1] // SUBFRAME
        written: list[Tensor] = []
        for t in range(cond.shape[1]):
            past = torch.cat(
                (history.gather(1, places[:, t // SUBFRAMES]), history[:, -SUBFRAME:]), 1
            )
            past = (past * scales[:, t, None]).clamp(-1.0, 1.0)
            y = step(cond[:, t], past) * gains[:, t, None]
            if t < given:
                y = forced[:, t * SUBFRAME : (t + 1) * SUBFRAME]
            history = torch.cat((history[:, SUBFRAME:], y), 1)
            written.append(y)
        return torch.cat(written, 1)


class _Step:
    """One subframe after another: the layers' matrices for this pass, and the state."""

    def __init__(self, network: Fargan, rows: int, like: Tensor, noise: Noise | None) -> None:
        self._noise = noise
        self._gates = network.pitch_gates
        self._fwc, self._fwc_gate = Stepwise(network.fwc.weight), Stepwise(network.fwc.gate.weight)
        self._skip = Stepwise(network.skip.weight)
        self._skip_gate = Stepwise(network.skip.gate.weight)
        self._out = Stepwise(network.out.weight)
        self._pitch_gates = Stepwise(network.pitch_gates.weight)
        grus = (network.gru1, network.gru2, network.gru3)
        self._grus = [
            (Stepwise(gru.weight_ih), Stepwise(gru.weight_hh), Stepwise(gru.gate.weight))
            for gru in grus
        ]
        self._states = [like.new_zeros(rows, gru.units) for gru in grus]
        self._before = like.new_zeros(rows, network.fwc.in_features // 2)

    def _read(self, layer: Stepwise, x: Tensor) -> Tensor:
        """The product of an int8 layer."""
        return layer(x, None if self._noise is None else self._noise.draw(x.shape[1]))

    def _gated(self, layer: Stepwise, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self._read(layer, x))

    def __call__(self, cond: Tensor, past: Tensor) -> Tensor:
        """40 samples, -1..1, of a subframe's conditioning and what was heard before it."""
        x = torch.cat((cond, past), 1)
        hidden = torch.tanh(self._read(self._fwc, torch.cat((self._before, x), 1)))
        self._before = x
        fwc = self._gated(self._fwc_gate, hidden)
        gates = torch.sigmoid(self._pitch_gates(fwc) + self._gates.bias).chunk(_GRUS + 1, 1)
        _, predicted, _, previous = past.tensor_split((2, 2 + SUBFRAME, PREDICTION), 1)
        outputs, last = [], fwc
        for k, (inputs, recurrent, gate) in enumerate(self._grus):
            x = torch.cat((last, gates[k] * predicted, previous), 1)
            state = self._states[k]
            state = gru_step(self._read(inputs, x), self._read(recurrent, state), state)
            self._states[k] = state
            last = self._gated(gate, state)
            outputs.append(last)
        together = torch.cat((*outputs, fwc, gates[_GRUS] * predicted, previous), 1)
        skip = self._gated(self._skip_gate, torch.tanh(self._read(self._skip, together)))
        return torch.tanh(self._out(skip))
