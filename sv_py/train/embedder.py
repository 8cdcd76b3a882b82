"""A trained model as one graph that other runtimes can run: waveform in, embedding out."""

import copy
import math

import torch
from torch import nn

from sv_py.features.cmn import normalise
from sv_py.features.frames import FULL_SCALE, FrontEnd
from sv_py.models.backbone import Backbone, repeated
from sv_py.schema import Features


class Embedder(nn.Module):
    """Waveforms (B, N) float32 between -1 and 1 -> embeddings (B, E), without loops or branches on the data.

    As in extraction, frames are repeated if the network takes no input so short. A waveform shorter than a frame,
    which extraction refuses, is repeated too. Its recurrent layers can be exported but not run.
    """

    def __init__(self, frontend: FrontEnd, options: Features, network: Backbone):
        super().__init__()
        self.frontend, self.options, self.network = copy.deepcopy(frontend), options, copy.deepcopy(network)
        self.frontend.power_spectrum = MatrixPowerSpectrum(len(frontend.window))
        for name, module in network.named_modules():
            if isinstance(module, nn.LSTM):
                self.network.set_submodule(name, LSTMOperator(module))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """The embeddings."""
        waveform = FULL_SCALE * repeated(waveform, self.frontend.num_samples(1))
        frames = normalise(self.frontend.at_once(waveform), self.options.cmn, self.options.cmn_window)
        return self.network(repeated(frames, self.network.min_frames))


class MatrixPowerSpectrum(nn.Module):
    """`PowerSpectrum` of frames of ``size`` samples as one product of matrices.

    Every runtime has that, fast and in full precision; the Fourier transform of ONNX is often neither.
    """

    def __init__(self, size: int):
        super().__init__()
        turns = torch.arange(size)[:, None] * torch.arange(1 + size // 2) % size
        angle = 2 * math.pi / size * turns.double()
        self.register_buffer("transform", torch.cat((angle.cos(), angle.sin()), dim=1).float())

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (..., n) -> power spectra (..., 1 + n / 2)."""
        real, imaginary = (frames @ self.transform).square().chunk(2, dim=-1)
        return real + imaginary


class LSTMOperator(nn.Module):
    """An LSTM of one layer as the operator of ONNX, where PyTorch would export a graph of every single frame.

    Raises NotImplementedError for other layouts than batch_first and for projections.
    """

    def __init__(self, lstm: nn.LSTM):
        super().__init__()
        if lstm.num_layers > 1 or not lstm.batch_first or not lstm.bias or lstm.proj_size:
            raise NotImplementedError(f"only single layers with batch_first and bias: {lstm}")
        self.hidden_size, self.directions = lstm.hidden_size, 1 + lstm.bidirectional
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            both = [getattr(lstm, f"{name}_l0{suffix}") for suffix in ("", "_reverse")[: self.directions]]
            self.register_buffer(name, torch.stack([_gates_of_onnx(values) for values in both]).detach())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """(B, T, inputs) -> outputs (B, T, directions * hidden), and the last states (directions, B, hidden) of two."""
        batch, frames, _ = x.shape
        state = (self.directions, batch, self.hidden_size)
        bias = torch.cat((self.bias_ih, self.bias_hh), dim=1)
        outputs, hidden, cell = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (x.transpose(0, 1), self.weight_ih, self.weight_hh, bias),
            {"hidden_size": self.hidden_size, "direction": ("forward", "bidirectional")[self.directions - 1]},
            dtypes=(x.dtype,) * 3,
            shapes=((frames, *state), state, state),
        )
        return outputs.permute(2, 0, 1, 3).flatten(2), (hidden, cell)


def _gates_of_onnx(values: torch.Tensor) -> torch.Tensor:
    """PyTorch's gates input, forget, cell, output along the first axis, in ONNX's order."""
    inputs, forget, cell, output = values.chunk(4)
    return torch.cat((inputs, output, forget, cell))
