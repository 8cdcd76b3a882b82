"""Makes and spoils small data dirs for the tests."""

from collections.abc import Callable
from pathlib import Path

UTTS = ["ann-1", "ann-2", "bob-1", "bob-2", "cy-1", "cy-2"]


def fill(folder: Path) -> None:
    put(folder, "utt2spk", *(f"{u} {u.split('-')[0]}" for u in UTTS))
    put(folder, "spk2utt", *(f"{s} {s}-1 {s}-2" for s in ("ann", "bob", "cy")))
    put(folder, "spk2gender", "ann f", "bob m", "cy m")
    put(folder, "utt2dur", *(f"{u} 0.5" for u in UTTS))
    put(folder, "text", *(f"{u} HELLO TO YOU" for u in UTTS))
    put(folder, "feats.scp", *(f"{u} exp/fbank.1.ark:{i}" for i, u in enumerate(UTTS)))
    put(folder, "vad.scp", *(f"{u} exp/vad.1.ark:{i}" for i, u in enumerate(UTTS)))
    put(folder, "utt2num_frames", *(f"{u} {48 + i}" for i, u in enumerate(UTTS)))
    put(folder, "audio.scp", *(f"{u} exp/audio.1.ark:{i}" for i, u in enumerate(UTTS)))
    put(folder, "utt2num_samples", *(f"{u} {4000 + i}" for i, u in enumerate(UTTS)))
    put(folder, "audio.id", "--sample-frequency=8000", "--encoding=pcm16")
    put(folder, "feats.id", "kaldi_fbank num-mel-bins=80")
    put(folder, "trials", "ann-1 ann-2 target", "ann-1 bob-1 nontarget")


def put(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(f"{line}\n" for line in lines), newline="\n")


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    """An edit: replace the first ``old`` in a file, byte for byte (``new`` may hold \\udcXX for the byte XX)."""

    def edit(folder: Path) -> None:
        text = (folder / name).read_bytes().decode()
        assert old in text
        (folder / name).write_bytes(text.replace(old, new, 1).encode("utf-8", "surrogateescape"))

    return edit


def append(name: str, line: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(line + "\n")

    return edit


def rewrite(name: str, function: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(function((folder / name).read_text()).encode()) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
