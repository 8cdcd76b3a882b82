"""local/prepare_voxceleb1.sh with the test part under its published names, and the lists that belong to it."""

import os

import pytest
import soundfile

from sv_py.corpora.voxceleb_package import FILE, durations, read_member
from sv_py.io.text import read_table


@pytest.fixture
def corpus(tmp_path, shared, voxceleb_wheel):
    """All files of VoxCeleb1's test part, which are one real recording; two of its dev part; Vox1-O and Vox1-H."""
    samples, rate = soundfile.read(next((shared / "corpora/an4/wav").rglob("*.flac")))
    soundfile.write(tmp_path / "speech.wav", samples[:8000], rate)
    names = [utt for utt, _ in durations(voxceleb_wheel, "voxceleb1_test")]
    for utt in [*names, "id10001-1zcIwhmdeo4-00001", "id10002-0_laIeN-Q44-00001"]:
        part = "test" if utt in names else "dev"
        path = tmp_path / f"corpus/{part}/wav/{utt[:7]}/{utt[8:-6]}/{utt[-5:]}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(tmp_path / "speech.wav", path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / FILE).symlink_to(voxceleb_wheel)
    for name, member in (("veri_test", "original"), ("list_test_hard", "hard")):
        (tmp_path / f"lists/{name}.txt").write_bytes(read_member(voxceleb_wheel, f"verif_{member}.txt.gz"))
    return tmp_path


def test_a_whole_test_part_gets_its_trials_and_the_incomplete_dev_part_is_told(corpus, root, run):
    script = [root / "local/prepare_voxceleb1.sh", "--corpus-dir", "corpus", "--lists-dir", "lists"]
    stopped = run(*script, "data", cwd=corpus, code=1)
    assert "voxceleb1_dev: 2 of 148,642 utterances, 2 of 1,211 speakers" in stopped.stderr
    assert "lacks 148,640 utterances of 1,211 speakers" in stopped.stderr and "voxceleb1_test" not in stopped.stderr
    assert not (corpus / "data").exists()

    done = run(*script, "--allow-incomplete", "true", "data", cwd=corpus)
    run(root / "utils/validate_data_dir.sh", "data/voxceleb1_test", cwd=corpus)
    assert len(read_table(corpus / "data/voxceleb1_test/utt2spk")) == 4874
    trials = [(corpus / f"data/{name}/trials_O").read_bytes() for name in ("voxceleb1_test", "voxceleb1")]
    assert trials[0].count(b"\n") == 37720 and trials[0] == trials[1]

    assert "no trials_H in data/voxceleb1" in done.stderr and "ids in the trials are unknown" in done.stderr
    assert not (corpus / "data/voxceleb1/trials_H").exists()

    (corpus / "lists/list_test_hard.txt").write_text("1 id10001/x/00001.wav id10001/y/00001.wav\n")
    altered = run(*script, "--allow-incomplete", "true", "data", cwd=corpus, code=1)
    assert "list_test_hard.txt: 1 trials, 1 of them targets: none of the published lists" in altered.stderr
