"""What others' weights are in our terms, and the transfer: every tensor is accounted for."""

import re
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from sv_py.cli import InputError, first_few, near_miss
from sv_py.log import logger


@dataclass(frozen=True)
class Layout:
    """A network of others in our terms.

    - ``model`` and ``features``: the sections of a configuration, as plain values;
    - ``rules``: (their module, our module), in both of which # stands for a number; the first that fits counts;
    - ``ignored``: (how their name begins, reason) of tensors that extraction does not need;
    - ``assumed``: what their tensors cannot tell, in words.
    """

    model: dict[str, Any]
    features: dict[str, Any]
    rules: list[tuple[str, str]]
    ignored: list[tuple[str, str]] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    def rename(self, theirs: str) -> str:
        """Our name of one of their tensors, or the empty string."""
        module, _, parameter = theirs.rpartition(".")
        for old, new in self.rules:
            if numbers := _numbers(old, module):
                return "".join(map("".join, zip(new.split("#"), [*numbers[1:], ""], strict=True))) + f".{parameter}"
        return ""

    def why_ignored(self, theirs: str) -> str:
        """Why one of their tensors is not needed, or the empty string."""
        return next((reason for start, reason in self.ignored if theirs.startswith(start)), "")


def _numbers(pattern: str, module: str) -> tuple[str, ...]:
    """``module`` and the numbers that stand in it for # of ``pattern``; nothing if it does not fit."""
    if "#" not in pattern:
        return (module,) if module == pattern else ()
    found = re.fullmatch(re.escape(pattern).replace(r"\#", r"(\d+)"), module)
    return (module, *found.groups()) if found else ()


@dataclass(frozen=True)
class Transfer:
    """What became of every tensor: ``used`` has rows (theirs, ours, shape), ``unused`` (theirs, reason)."""

    used: list[tuple[str, str, str]]
    unused: list[tuple[str, str]]

    def table(self) -> str:
        """One line per tensor, and the counts."""
        width = max(len(row[0]) for row in self.used + self.unused)
        lines = [f"{theirs:<{width}}  used    {shape:<18} {ours}" for theirs, ours, shape in self.used]
        lines += [f"{theirs:<{width}}  unused  {reason}" for theirs, reason in self.unused]
        return "\n".join([*lines, f"{len(self.used)} tensors used, {len(self.unused)} unused, none missing"])


def transfer(weights: dict[str, Tensor], layout: Layout, network: nn.Module) -> Transfer:
    """Fill ``network`` with ``weights``. Raises InputError unless every tensor of both finds its place.

    Shapes must agree, but for axes of length 1: a convolution of one frame is a linear layer. Numbers are finite and
    of floating point, but for counters.
    """
    ours = network.state_dict()
    filled: dict[str, Tensor] = {}
    used, unused, unknown, misfits, strange = [], [], [], [], []
    for theirs, tensor in weights.items():
        name = layout.rename(theirs)
        if name in ours and name not in filled:
            filled[name] = tensor
            if _significant(tensor) != _significant(ours[name]):
                misfits.append(f"{theirs} {list(tensor.shape)}, our {name} {list(ours[name].shape)}")
                continue
            if ours[name].is_floating_point() and not (tensor.is_floating_point() and tensor.isfinite().all()):
                strange.append(theirs)
            filled[name] = tensor.reshape(ours[name].shape)
            used.append((theirs, name, "x".join(map(str, tensor.shape)) or "1"))
        elif reason := layout.why_ignored(theirs) or (
            "steps of its training" if theirs.endswith("num_batches_tracked") else ""
        ):
            unused.append((theirs, reason))
        else:
            unknown.append(theirs)
    missing = [name for name in ours if name not in filled and not name.endswith("num_batches_tracked")]
    kinds = {
        "unknown here": unknown,
        "of ours missing there": missing,
        "of other shapes": misfits,
        "with NaN, infinite or integer values": strange,
    }
    faults = {what: names for what, names in kinds.items() if names}
    for what, names in faults.items():
        logger.warning("tensors %s:\n  %s", what, "\n  ".join(names))
    if faults:
        listed = "; ".join(f"{len(names)} tensors {what}: {first_few(names)}" for what, names in faults.items())
        raise InputError(f"the weights do not fit: {listed}")
    network.load_state_dict(ours | filled)
    return Transfer(used, unused)


def _significant(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]


def count(weights: dict[str, Tensor], pattern: str) -> int:
    """How many numbers stand for # where names begin with ``pattern``: so many modules there are."""
    begins = re.compile(re.escape(pattern).replace(r"\#", r"(\d+)"))
    return len({m[1] for name in weights if (m := begins.match(name))})


def shape_of(weights: dict[str, Tensor], name: str, axes: int) -> list[int]:
    """The shape of a tensor that the layout cannot do without. InputError if it is not there or of other dimensions."""
    if name not in weights:
        raise InputError(f"has no {name}{near_miss(name, weights)}")
    shape = list(weights[name].shape)
    if len(shape) != axes or 0 in shape:
        raise InputError(f"{name} has the shape {shape}, wanted are {axes} axes that are not empty")
    return shape
