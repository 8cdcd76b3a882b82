"""In which precision a training step is computed, and by which kernels."""

import os
import shutil
from contextlib import AbstractContextManager

import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.schema import Compute

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_SCALE, _GROW_AFTER = 2.0**16, 2000  # those of torch.amp.GradScaler


class Precision:
    """Autocast, the loss scale of float16, and the switches of the GPU's kernels, which the constructor sets.

    A float16 gradient below 6e-8 is zero, so the loss is multiplied by `loss_scale`, and the gradients are to be
    divided by it once they are float32 (Micikevicius et al., ICLR 2018, section 3.2). The scale halves after a step
    whose gradients overflowed, which is left out, and doubles after 2,000 good ones in a row. It is a power of two and
    rounds nothing. Raises InputError if a compiler is needed and there is none.
    """

    def __init__(self, compute: Compute, device: torch.device):
        self.compute, self.device = compute, device
        self.loss_scale = _FIRST_SCALE if compute.autocast == "fp16" else 1.0
        self.good_steps = 0  # since the scale last changed
        if compute.compile:
            _check_compiler()
        if device.type != "cuda":
            return
        rounding = "tf32" if compute.tf32 else "ieee"
        for kernels in (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn):
            kernels.fp32_precision = rounding
        if compute.deterministic:  # as cuBLAS demands, which reads it when it is first called
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(compute.deterministic)

    def autocast(self) -> AbstractContextManager:
        """The context of a forward pass of training."""
        torch.backends.cudnn.benchmark = not self.compute.deterministic  # keep the fastest kernels: crops are alike
        kind = _TYPES.get(self.compute.autocast)
        return torch.autocast(self.device.type, kind, enabled=kind is not None)

    def step_was(self, finite: bool) -> bool:
        """Hear whether all gradients of a step were finite; whether to forgive that they were not.

        Then the loss scale was too large for them, and the next step has half of it.
        """
        if self.compute.autocast != "fp16":
            return False
        if not finite:
            forgiven = self.loss_scale > 1
            self.loss_scale, self.good_steps = max(self.loss_scale / 2, 1.0), 0
            return forgiven
        self.good_steps += 1
        if self.good_steps == _GROW_AFTER:
            self.loss_scale, self.good_steps = 2 * self.loss_scale, 0
        return False

    def compiled(self, module: nn.Module, lengths_vary: bool = False) -> nn.Module:
        """What to call in training steps instead of ``module``, with its parameters: itself, if nothing is compiled.

        ``lengths_vary``: whether crops have different lengths, for which one graph of any length is compiled. Earlier
        graphs are forgotten, so that the bits do not depend on what this process has trained before.
        """
        if not self.compute.compile:
            return module
        torch.compiler.reset()
        return torch.compile(module, dynamic=lengths_vary)

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"loss_scale": self.loss_scale, "good_steps": self.good_steps}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up what `state_dict` gave."""
        self.loss_scale, self.good_steps = state["loss_scale"], state["good_steps"]


def _check_compiler() -> None:
    """Raise InputError without the compiler that torch.compile calls."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise InputError(f"compute.compile: there is no C++ compiler '{compiler}'; install one, or name it in CXX")
