"""Utterances as the network sees them: from stored features or from audio, in training and extraction alike."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from sv_py.cli import InputError
from sv_py.data import vad
from sv_py.data.store import AudioStore, FeatureStore
from sv_py.features import FRONTENDS
from sv_py.features.arguments import FrameArguments, describe
from sv_py.features.cmn import normalise
from sv_py.schema import Features


class Frames(nn.Module):
    """The one way from what is stored to what the network sees: front end, if there is one, and mean normalisation.

    Maps waveforms (B, N) float32 on the scale of 16-bit integers, or stored features (B, T, F), to frames (B, T, F).
    In train() mode the front end may dither, by ``generator``.
    """

    def __init__(self, options: Features, frontend: nn.Module | None = None):
        super().__init__()
        self.options, self.frontend = options, frontend

    def forward(self, values: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """The frames of a batch of equal lengths."""
        frames = values if self.frontend is None else self.frontend(values, generator=generator)
        return normalise(frames, self.options.cmn, self.options.cmn_window)


class _Utterances:
    """What both kinds of sets have. ``id`` says how the frames are made: equal texts, comparable frames.

    ``table`` is the `UtteranceTable`, ``frames`` the way of values to frames. Values are what ``crop`` reads: frames
    of stored features, or samples.
    """

    def __init__(self, store: AudioStore | FeatureStore, frames: Frames, identity: str):
        self.store, self.table = store, store.table
        self.frames, self.id = frames.eval(), identity

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, utt: str) -> bool:
        return self.table.find(utt) is not None

    @property
    def utts(self) -> list[str]:
        """All ids, sorted."""
        return [utt.decode() for utt in self.table.utts.tolist()]

    @property
    def speakers(self) -> list[str]:
        """All speakers, sorted: the classes of a training."""
        return [speaker.decode() for speaker in self.table.speakers.tolist()]

    @torch.inference_mode()
    def read(self, utt: str) -> np.ndarray:
        """All frames (T, F) float32 as the network sees them. Raises InputError, also if there are none."""
        values = torch.from_numpy(self._whole(self.table.row(utt)))
        frames = self.frames(values[None].float())[0].numpy()
        if not len(frames):
            raise InputError(f"'{utt}': {len(values)} samples are too short for a frame", self.store.path)
        return frames

    def crop(self, row: int, start: float, length: int) -> np.ndarray:
        """``length`` values from the fraction ``start`` of the places where they can begin; short ones are repeated.

        int16 (length,) or float32 (length, F). Raises InputError that names utterance and file.
        """
        total = int(self.table.length[row])
        if total <= length:
            return _looped(self.store.read(row), length)
        first = int(start * (total - length + 1))
        return self.store.read(row, first, first + length)

    def _whole(self, row: int) -> np.ndarray:
        return self.store.read(row)


class FeatureSet(_Utterances):
    """The utterances of a data dir that has features."""

    def __init__(self, data_dir: str | Path, options: Features):
        identity = Path(data_dir, "feats.id")
        super().__init__(
            FeatureStore(data_dir, options.vad), Frames(options), identity.read_text() if identity.exists() else ""
        )

    def feature_dim(self, tries: int = 1) -> int:
        """Values of a frame, by the first utterance that can be read. Raises InputError if none of ``tries`` can."""
        errors = []
        for row in range(min(tries, len(self))):
            try:
                return self.store.read(row, 0, 1).shape[1]
            except InputError as error:
                errors.append(error)
        raise errors[0]

    def values_of(self, frames: int) -> int:
        """How many values a crop of so many frames takes."""
        return frames

    def crop(self, row: int, start: float, length: int) -> np.ndarray:
        """As in the parent class; where silence is dropped, before."""
        if not self.frames.options.vad:
            return super().crop(row, start, length)
        voiced = self.store.read_voiced(row)
        first = int(start * max(0, len(voiced) - length + 1))
        return _looped(voiced[first : first + length], length)

    def _whole(self, row: int) -> np.ndarray:
        return self.store.read_voiced(row) if self.frames.options.vad else self.store.read(row)


class AudioSet(_Utterances):
    """The utterances of a data dir that has audio shards; features are computed as they are asked for.

    ``detector``, name and arguments, finds the speech in whole utterances if ``options`` want only that and the shards
    hold more; crops need shards of speech. The text ``id`` is that of the features which steps/make_fbank.sh makes so;
    dropped silence adds the lines of the detector.
    """

    def __init__(self, data_dir: str | Path, options: Features, detector: tuple[str, FrameArguments] | None = None):
        store, part = AudioStore(data_dir), options.frontend
        module = FRONTENDS.build(part.name, part.args)
        if store.rate != module.sample_frequency:
            raise InputError(
                f"has audio of {store.rate} Hz, and the front end takes {module.sample_frequency} Hz", store.path
            )
        if options.vad and not store.speech and detector is None:
            raise InputError("features.vad: its audio has silence: steps/make_shards.sh --apply-vad true", store.path)
        if store.speech and not options.vad:
            raise InputError(
                "its audio has no silence: features.vad, or steps/make_shards.sh without --apply-vad", store.path
            )
        self._detector = detector if options.vad and not store.speech else None
        if self._detector and self._detector[1].sample_frequency != store.rate:
            wanted = self._detector[1].sample_frequency
            raise InputError(f"has audio of {store.rate} Hz, and the detector is for {wanted} Hz", store.path)
        speech = vad.describe(*self._detector) if self._detector else store.speech
        super().__init__(store, Frames(options, module), describe(part.name, part.args) + speech)

    def _whole(self, row: int) -> np.ndarray:
        samples = self.store.read(row)
        return vad.speech_samples(samples, *self._detector, self.table.utt(row)) if self._detector else samples

    def feature_dim(self, tries: int = 1) -> int:
        """Values of a frame: as the front end has it."""
        return self.frames.frontend.feature_dim

    def values_of(self, frames: int) -> int:
        """How many samples a crop of so many frames takes."""
        return self.frames.frontend.num_samples(frames)


def _looped(values: np.ndarray, length: int) -> np.ndarray:
    """The first ``length`` values of endless repetitions along the first axis."""
    return np.concatenate([values] * -(-length // len(values)))[:length]
