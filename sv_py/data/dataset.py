"""Training crops of stored features: which utterance, frames and masks are functions of (seed, epoch, index)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sv_py.cli import InputError
from sv_py.io.ark import ArkReader
from sv_py.io.text import read_counts, read_table, require_keys
from sv_py.schema import Features, Phase

_PLAN, _MASK = range(2)  # independent streams of random numbers


class FeatureSet:
    """The features of a data dir, by utterance: frames (T, F) float32 after voice activity and mean normalisation."""

    def __init__(self, data_dir: str | Path, options: Features):
        data_dir = Path(data_dir)
        self.options = options
        self.utt2spk = read_table(data_dir / "utt2spk", columns=2)
        self.feats = read_table(data_dir / "feats.scp")
        self.vad = read_table(data_dir / "vad.scp") if options.vad else {}
        self.num_frames = read_counts(data_dir / "utt2num_frames")
        needed = {"feats.scp": self.feats, "utt2num_frames": self.num_frames}
        if options.vad:
            needed["vad.scp"] = self.vad
        for name, table in needed.items():
            require_keys(table, self.utt2spk, data_dir / name)
        self.utts = list(self.utt2spk)
        self.id = (data_dir / "feats.id").read_text() if (data_dir / "feats.id").exists() else ""
        self._reader = ArkReader()

    def __len__(self) -> int:
        return len(self.utts)

    def read(self, utt: str, start: float = 0.0, length: int | None = None) -> np.ndarray:
        """All frames, or ``length`` frames from the fraction ``start`` of the places where they can begin.

        An utterance that is shorter is repeated. Raises InputError for NaN and for an utterance without frames.
        """
        if self.options.vad:
            voiced = self._reader.read(self.vad[utt], key=utt) > 0
            frames = self._reader.read(self.feats[utt], key=utt)
            if len(voiced) != len(frames):
                raise InputError(f"'{utt}' has {len(frames)} frames, and decisions for {len(voiced)}", self.vad[utt])
            frames = frames[voiced]
            first, stop = self._crop(len(frames), start, length)
            frames = frames[first:stop]
        else:
            first, stop = self._crop(self.num_frames[utt], start, length)
            frames = self._reader.read(self.feats[utt], first, stop, utt)
            if stop is not None and len(frames) < stop - first:
                raise InputError(f"'{utt}' has fewer frames than utt2num_frames says", self.feats[utt])
        if len(frames) == 0:
            raise InputError(f"'{utt}' has no frames" + (" of speech" if self.options.vad else ""))
        if not np.isfinite(frames).all():
            raise InputError(f"'{utt}' has features that are NaN or infinite", self.feats[utt])
        if self.options.cmn:
            frames = frames - frames.mean(axis=0)
        if length is not None and len(frames) < length:
            frames = np.tile(frames, (-(-length // len(frames)), 1))[:length]
        return frames

    @staticmethod
    def _crop(total: int, start: float, length: int | None) -> tuple[int, int | None]:
        if length is None or total <= length:
            return 0, None
        first = int(start * (total - length + 1))
        return first, first + length


class TrainingBatches:
    """The batches of one epoch: ``batches[step]`` -> features (B, crop, F) float32, labels (B,) int64.

    Batches depend on (seed, epoch, step) only, so any number of workers and any point of resume give the same ones.
    The last, smaller batch of an epoch is left out.
    """

    def __init__(self, features: FeatureSet, speakers: Sequence[str], phase: Phase, seed: int, epoch: int):
        self.features, self.phase, self.seed, self.epoch = features, phase, seed, epoch
        label = {speaker: i for i, speaker in enumerate(speakers)}
        self._labels = np.array([label[features.utt2spk[u]] for u in features.utts], dtype=np.int64)
        self._index, self._start = self._plan()

    def _plan(self) -> tuple[np.ndarray, np.ndarray]:
        """Utterance and relative start of each crop of the epoch."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, _PLAN], counter=[0, 0, 0, self.epoch]))
        count = len(self.features)
        weight = np.ones(count)
        if self.phase.crops_by_length:
            frames = np.array([self.features.num_frames[u] for u in self.features.utts], dtype=float)
            weight = np.maximum(frames, self.phase.crop)
        # crops per utterance: the whole part for sure, the rest by one systematic draw
        wanted = np.cumsum(weight / weight.sum() * round(count * self.phase.crops_per_utt))
        edges = np.floor(wanted + rng.random()).astype(np.int64)
        repeats = np.diff(edges, prepend=0)
        index = rng.permutation(np.repeat(np.arange(count), repeats))
        return index, rng.random(len(index))

    def __len__(self) -> int:
        return len(self._index) // self.phase.batch_size

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = slice(step * self.phase.batch_size, (step + 1) * self.phase.batch_size)
        index = self._index[chosen]
        crops = [
            self.features.read(self.features.utts[i], start, self.phase.crop)
            for i, start in zip(index, self._start[chosen], strict=True)
        ]
        batch = np.stack(crops)
        self._mask(batch, step)
        return batch, self._labels[index]

    def _mask(self, batch: np.ndarray, step: int) -> None:
        """Set a random stripe of frames and one of bins to zero (the mean, after mean normalisation)."""
        longest = self.phase.mask.time, self.phase.mask.frequency
        if not any(longest):
            return
        rng = np.random.Generator(np.random.Philox(key=[self.seed, _MASK], counter=[0, 0, step, self.epoch]))
        draws = rng.random((2, 2, len(batch)))
        for axis, most in enumerate(longest):
            most = min(most, batch.shape[1 + axis])
            widths = (draws[axis, 0] * (most + 1)).astype(int)
            firsts = (draws[axis, 1] * (batch.shape[1 + axis] - widths + 1)).astype(int)
            for crop, first, width in zip(batch, firsts, widths, strict=True):
                crop[(slice(None),) * axis + (slice(first, first + width),)] = 0.0
