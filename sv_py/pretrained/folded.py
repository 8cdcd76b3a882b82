"""A ResNet of WeSpeaker as ONNX, its batch norms folded into the convolutions -> tensors by WeSpeaker's names."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from sv_py.cli import InputError, first_few

_TRUNK = {"Transpose", "Constant", "Unsqueeze", "Conv", "Relu", "Add"}
_STATISTICS = {  # mean and deviation over time (TSTP), and the linear layer
    "ReduceMean", "Sub", "Shape", "Constant", "Gather", "ReduceProd", "Mul", "Cast", "Div", "Add", "Sqrt", "Flatten",
    "Concat", "Gemm",
}  # fmt: skip
_EPSILON = 1e-5  # of our batch norms
_FRAMES = 120  # of the features that both networks are tried on
_TOLERANCE = 1e-3  # of the largest difference of two embeddings


def read_onnx(path: Path) -> dict[str, Tensor]:
    """The tensors of the network's state_dict; a batch norm that was folded becomes one that adds the bias.

    The convolutions of such a file have no names, so the graph says which is which: residual blocks end with an
    addition, and a block's shortcut has the same input as its first layer. A mean of embeddings that the file
    subtracts is taken off the last bias. Raises InputError for a graph of another kind.
    """
    try:
        import onnx
    except ImportError:
        raise InputError("needs the package onnx: pip install -r requirements-onnx.txt", path) from None
    if not path.is_file():
        raise InputError("no such file", path)
    try:
        graph = onnx.load(path, load_external_data=False).graph
        elsewhere = [part.name for part in graph.initializer if part.data_location == onnx.TensorProto.EXTERNAL]
        if elsewhere:
            raise InputError(f"keeps weights in another file: {first_few(elsewhere)}; wanted is one file of all", path)
        tensors = {part.name: torch.from_numpy(onnx.numpy_helper.to_array(part).copy()) for part in graph.initializer}
    except InputError:
        raise
    except Exception as error:  # of protobuf, which has no public class for it
        raise InputError(f"damaged or not an ONNX file: {(str(error).splitlines() or ['empty'])[0]}", path) from None
    nodes = list(graph.node)
    first = next((i for i, node in enumerate(nodes) if node.op_type == "ReduceMean"), len(nodes))
    unknown = {n.op_type for n in nodes[:first]} - _TRUNK | {n.op_type for n in nodes[first:]} - _STATISTICS
    gemm = next((node for node in nodes if node.op_type == "Gemm"), None)
    if unknown or gemm is None:
        what = f"has {first_few(sorted(unknown))}" if unknown else "has no linear layer"
        raise InputError(f"is no ResNet with folded batch norms and statistics pooling: {what}", path)
    used: dict[str, Tensor] = {}

    def parameters(node: "onnx.NodeProto") -> list[Tensor]:
        found = {name: tensors[name] for name in node.input[1:] if name in tensors}
        if len(found) != 2:
            raise InputError(f"is no ResNet with folded batch norms: {node.name or node.op_type} has no bias", path)
        used.update(found)
        return list(found.values())

    state: dict[str, Tensor] = {}
    for node, conv, norm in _named_convolutions(nodes[:first]):
        state[f"{conv}.weight"], bias = parameters(node)
        state |= _adding(norm, bias)
    state["seg_1.weight"], state["seg_1.bias"] = parameters(gemm)
    mean = next((n.input[1] for n in nodes if n.op_type == "Sub" and n.input[0] == gemm.output[0]), None)
    if mean in tensors:
        state["seg_1.bias"] = state["seg_1.bias"] - tensors[mean]
        used[mean] = tensors[mean]
    if left := tensors.keys() - used.keys():
        raise InputError(f"has weights that nothing known uses: {first_few(sorted(left))}", path)
    return state


@torch.inference_mode()
def check_onnx(path: Path, network: nn.Module, feature_dim: int) -> None:
    """Raise InputError unless ``network`` computes of two random features (1, T, feature_dim) what the file computes.

    The names and shapes of weights do not tell strides, padding, activations or the order of what is done.
    """
    try:
        import onnxruntime
    except ImportError:
        raise InputError("needs the package onnxruntime: pip install -r requirements-onnx.txt", path) from None
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        frames = next((length for length in given.shape[1:2] if isinstance(length, int)), _FRAMES)
        noise = torch.randn(1, frames, feature_dim, generator=torch.Generator().manual_seed(0))
        tried = [noise, 3 * noise.cumsum(2) / feature_dim**0.5]
        theirs = torch.cat([torch.from_numpy(session.run(None, {given.name: x.numpy()})[0]) for x in tried])
    except Exception as error:  # of ONNX Runtime, which has no public class for it
        raise InputError(f"ONNX Runtime cannot run it: {str(error).splitlines()[0]}", path) from None
    ours = network.eval()(torch.cat(tried))
    if (
        ours.shape != theirs.shape
        or not (ours - theirs).abs().max() <= _TOLERANCE * (theirs[0] - theirs[1]).abs().max()
    ):
        raise InputError("computes something else than a ResNet of WeSpeaker with its weights", path)


def _named_convolutions(trunk: list) -> Iterator[tuple]:
    """Each convolution of the trunk with the names of itself and of its batch norm."""
    blocks, block = [], []
    for node in trunk:
        if node.op_type == "Conv":
            block.append(node)
        elif node.op_type == "Add":
            blocks.append(block)
            block = []
    if blocks and blocks[0]:
        yield blocks[0].pop(0), "conv1", "bn1"
    stage, number = 1, -1
    for block in blocks:
        number += 1
        if any(2 in attribute.ints for node in block for attribute in node.attribute if attribute.name == "strides"):
            stage, number = stage + 1, 0
        layers = 0
        for node in block:
            prefix = f"layer{stage}.{number}"
            if layers and node.input[0] == block[0].input[0]:
                yield node, f"{prefix}.shortcut.0", f"{prefix}.shortcut.1"
            else:
                layers += 1
                yield node, f"{prefix}.conv{layers}", f"{prefix}.bn{layers}"


def _adding(name: str, bias: Tensor) -> dict[str, Tensor]:
    """A batch norm that adds ``bias`` and nothing else."""
    return {
        f"{name}.weight": torch.ones_like(bias),
        f"{name}.bias": bias,
        f"{name}.running_mean": torch.zeros_like(bias),
        f"{name}.running_var": torch.full_like(bias, 1 - _EPSILON),
    }
