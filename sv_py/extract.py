"""Extract the embeddings of one split of a data dir (a job of steps/extract_embeddings.sh)."""

from pathlib import Path

import torch

from sv_py import log
from sv_py.cli import Parser, command
from sv_py.data.dataset import FeatureSet
from sv_py.io.ark import split_place, write_ark
from sv_py.io.current import Done, file_states
from sv_py.io.text import read_table
from sv_py.train.model import embed, load_model


def main() -> None:
    """Parse the command line and write the shard."""
    parser = Parser(prog="python -m sv_py.extract", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--num-threads", type=int, default=1, help="CPU threads")
    parser.add_argument("model", type=Path, help="final.pt or a checkpoint")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("ark", type=Path)
    parser.add_argument("scp", type=Path)
    args = parser.parse_args()
    log.setup()
    torch.set_num_threads(args.num_threads)
    inputs = [args.model, *(args.data_dir / name for name in ("feats.scp", "feats.id", "vad.scp"))]
    arks = {split_place(place, utt)[0] for utt, place in read_table(args.data_dir / "feats.scp").items()}
    done = Done(args.scp.with_suffix(".done"), [*inputs, file_states(sorted(arks))], [args.ark, args.scp])
    if done:
        log.logger.info("%s is there already", args.ark)
        return
    done.begin()
    device = torch.device(args.device)
    model = load_model(args.model, device)
    features = FeatureSet(args.data_dir, model.config.features)
    model.check(features)
    utts = log.progress(features.utts, len(features), args.ark.name)
    write_ark(args.ark, args.scp, ((utt, embed(model.network, features, utt, device)) for utt in utts))
    done.end()


if __name__ == "__main__":
    command(main)
