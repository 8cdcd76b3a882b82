"""Write a trained model as ONNX: waveform in, embedding out, with everything in between."""

import contextlib
import importlib.util
import io
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sv_py import config as configuration
from sv_py import log
from sv_py.cli import VERSION, InputError, Parser, command
from sv_py.data.dataset import Frames
from sv_py.features import FRONTENDS
from sv_py.features.arguments import FrameArguments, parse_id
from sv_py.features.frames import FULL_SCALE, FrontEnd
from sv_py.io.atomic import replace_file
from sv_py.train.embedder import Embedder
from sv_py.train.model import TrainedModel, load_model

if TYPE_CHECKING:
    import onnx

FORMAT = "1"  # of inputs, outputs and metadata: changes when a program that reads such files would have to
OPSET, IR_VERSION = 18, 8  # for ONNX Runtime 1.15 (2023) and newer
_LEAST_COSINE = 0.9999  # between ONNX Runtime's embedding and PyTorch's


def front_end(model: TrainedModel) -> tuple[str, FrameArguments]:
    """Name and arguments of the front end of the model's features. Raises InputError if it is none of ours."""
    if model.config.features.frontend is not None:
        return model.config.features.frontend.name, model.config.features.frontend.args
    text = model.feats_id.partition("detector=")[0]
    if not text:
        raise InputError("was trained on features of unknown making: its data dir had no feats.id", model.path)
    return parse_id(text, f"{model.path}: feats.id")


def metadata(model: TrainedModel, embedder: Embedder, threshold: float | None) -> dict[str, str]:
    """What a program that runs the model has to know, as texts (docs/export.md)."""
    found = {
        "format": FORMAT,
        "sample_rate": str(embedder.frontend.sample_frequency),
        "embedding_dim": str(model.network.embedding_dim),
        "speech_only": str(model.config.features.vad).lower(),
        "feats_id": model.feats_id,
        "config": configuration.dump(model.config),
    }
    if threshold is not None:
        found |= {"threshold": str(threshold), "score": "cosine"}
    return found


@torch.no_grad()
def convert(embedder: Embedder) -> "onnx.ModelProto":
    """The ONNX model of ``embedder``, of any batch size and any length; the same bytes whenever it is made."""
    example = torch.zeros(2, embedder.frontend.sample_frequency)
    shapes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("samples", min=1)}
    for name in ("torch.onnx", "onnx_ir", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they speak of their own steps
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # of torch's own old ways
        program = torch.onnx.export(
            embedder, (example,), dynamo=True, dynamic_shapes={"waveform": shapes}, input_names=["waveform"],
            output_names=["embedding"], opset_version=OPSET, verbose=False,
        )  # fmt: skip
    proto = program.model_proto
    proto.ir_version = IR_VERSION
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")  # lines of code with this machine's paths and addresses in memory
    return proto


@torch.inference_mode()
def check(proto: bytes, model: TrainedModel, frontend: FrontEnd) -> float:
    """The least cosine between ONNX Runtime's embeddings and PyTorch's, of noise, short and long, one and several.

    Raises InputError if it is less than 0.9999.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(proto, providers=["CPUExecutionProvider"])
    frames = Frames(model.config.features, frontend).eval()
    rng, rate = np.random.default_rng(0), frontend.sample_frequency
    shortest = frontend.num_samples(max(10, model.network.min_frames))  # one frame less its mean is nothing
    cosines = []
    for batch, samples in ((1, shortest), (3, shortest + rate), (2, shortest + 4 * rate + 123)):
        waveform = rng.normal(0, 0.1, (batch, samples)).astype(np.float32)
        theirs = torch.from_numpy(session.run(None, {"waveform": waveform})[0])
        ours = model.network(frames(FULL_SCALE * torch.from_numpy(waveform)))
        cosines.append(torch.cosine_similarity(theirs, ours))
    least = torch.cat(cosines).min().item()
    if not least >= _LEAST_COSINE:  # also if it is not a number
        raise InputError(f"ONNX Runtime's embeddings would differ from PyTorch's: cosine {least:.6f}", model.path)
    return least


def need(*packages: str) -> None:
    """Raise InputError for packages that are not installed."""
    lacking = [name for name in packages if importlib.util.find_spec(name) is None]
    if lacking:
        raise InputError(f"needs {' and '.join(lacking)}: pip install -r requirements-onnx.txt, the extra [onnx]")


def main() -> None:
    """Parse the command line and write the file."""
    parser = Parser(prog="python -m sv_py.export_onnx", description=__doc__)
    parser.add_argument("--threshold", type=float, help="least cosine of a pair of one speaker, noted in the file")
    parser.add_argument("model", type=Path, help="final.pt, a checkpoint, or what sv_py.import_checkpoint wrote")
    parser.add_argument("onnx", type=Path, help="the file to write")
    args = parser.parse_args()
    log.setup()
    need("onnx", "onnxscript", "onnxruntime")
    if args.threshold is not None and not -1 < args.threshold < 1:
        raise InputError(f"--threshold is a cosine, between -1 and 1, not {args.threshold:g}")
    if not args.onnx.parent.is_dir():
        raise InputError("no such folder", args.onnx.parent)
    if args.onnx.is_dir() or args.onnx.resolve() == args.model.resolve():
        raise InputError("is a folder, or the model itself: the file to write is another", args.onnx)
    model = load_model(args.model, torch.device("cpu"))
    frontend = FRONTENDS.build(*front_end(model)).eval()
    embedder = Embedder(frontend, model.config.features, model.network).eval()
    proto = convert(embedder)
    for key, value in metadata(model, embedder, args.threshold).items():
        proto.metadata_props.add(key=key, value=value)
    proto.producer_name, proto.producer_version = "sv_py", VERSION
    binary = proto.SerializeToString()
    least = check(binary, model, frontend)
    with replace_file(args.onnx, "wb") as file:
        file.write(binary)
    log.logger.info("%s: %.1f MB, cosine to PyTorch at least %.6f", args.onnx, len(binary) / 1e6, least)
    if model.config.features.vad:
        log.logger.warning("%s was trained on speech: silence has to be removed before", args.model)


if __name__ == "__main__":
    command(main)
