"""Extract the embeddings of a data dir, or of a part of it (a job of steps/extract_embeddings.sh)."""

from dataclasses import replace
from pathlib import Path

import torch

from sv_py import log
from sv_py.cli import Parser, command, share_of_job
from sv_py.data.vad import read_detector
from sv_py.io.ark import follow_ark, write_ark
from sv_py.io.current import Done, file_states
from sv_py.train.model import embed, load_model, open_device, open_set


def main() -> None:
    """Parse the command line and write the shard."""
    parser = Parser(prog="python -m sv_py.extract", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--num-threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--apply-vad", choices=("true", "false"), help="extract from the speech only; default: as in training"
    )
    parser.add_argument("--vad-config", type=Path, help="detector for audio shards that hold more than speech")
    parser.add_argument("--job", default="1/1", metavar="N/J", help="only the N-th of J parts of the utterances")
    parser.add_argument("model", type=Path, help="final.pt or a checkpoint")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("ark", type=Path)
    parser.add_argument("scp", type=Path)
    args = parser.parse_args()
    log.setup()
    torch.set_num_threads(args.num_threads)
    device = open_device(args.device)
    model = load_model(args.model, device)
    config = model.config
    if args.apply_vad:
        config = replace(config, features=replace(config.features, vad=args.apply_vad == "true"))
    detector = read_detector(args.vad_config) if args.vad_config and config.features.vad else None
    utterances = open_set(args.data_dir, config, detector)
    model.check(utterances, silence=args.apply_vad is None)
    tables = utterances.store.tables  # the name of whose columns is a digest of the text tables
    rows = share_of_job(args.job, len(utterances))
    made_of = [text for table in tables for text in (table.path.name, file_states(table.shards_of(rows)))]
    inputs = [args.model, *made_of, utterances.id, str(config.features), str(rows)]
    done = Done(args.scp.with_suffix(".done"), inputs, [args.ark, args.scp])
    if done:
        follow_ark(args.ark, args.scp)
        log.logger.info("%s is there already", args.ark)
        return
    done.begin()
    utts = log.progress(map(utterances.table.utt, rows), len(rows), args.ark.name)
    write_ark(args.ark, args.scp, ((utt, embed(model.network, utterances, utt, device)) for utt in utts))
    done.end()


if __name__ == "__main__":
    command(main)
