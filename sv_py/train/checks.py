"""What is told of an experiment before anything is trained."""

from sv_py.cli import InputError
from sv_py.config import check_shares
from sv_py.log import logger
from sv_py.losses.head import Head
from sv_py.models.backbone import Backbone
from sv_py.schema import Config
from sv_py.train.distributed import Processes
from sv_py.train.initial import freeze


def check_phases(config: Config, network: Backbone, head: Head, processes: Processes) -> None:
    """Raise InputError for phases that network, head or processes cannot do; warn of those that end too early."""
    check_shares(config, processes.count)
    for i, phase in enumerate(config.phases):
        least, crop = network.min_frames, phase.crop_range[0]
        if phase.micro_size < 2:
            key = "micro_batch" if phase.micro_batch else "batch_size"
            raise InputError(f"phases.{i}.{key}: batch norms need two utterances or more")
        ends = {"rate.warmup": phase.rate.warmup, "margin_ramp": phase.margin_ramp[1] if phase.margin_ramp else 0}
        for key, end in ends.items():
            if end > phase.epochs:
                logger.warning("phases.%d.%s: lasts until epoch %g, and the phase has %d", i, key, end, phase.epochs)
        if crop < least:
            raise InputError(f"phases.{i}.crop: {config.model.name} takes {least} frames or more, not {crop}")
        try:
            freeze(network, phase.freeze)
        except InputError as error:
            raise InputError(f"phases.{i}.freeze: {error}") from None
