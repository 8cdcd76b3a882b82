#!/usr/bin/env bash
# Makes a data dir to evaluate models on, from a folder with wav.scp (`utt path`) and trials (`1|0 utt utt`, or Kaldi's),
# as VoxBlink2's scripts have it. Nobody knows the speakers, so every utterance is its own.
#
# Usage: local/prepare_wav_list.sh [options] <data-root>
#  e.g.: local/prepare_wav_list.sh --corpus-dir /corpora/test_vox data
set -euo pipefail

# Begin configuration section.
corpus_dir=         # the folder; if empty, $WAV_LIST_DIR of the environment or of conf/corpora.sh
name=wav_list       # the set's name, <data-root>/NAME
drop_unknown=false  # <bool> leave out trials of utterances that are not in wav.scp, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"
. "$SV_ROOT/conf/corpora.sh"

corpus_dir=${corpus_dir:-$WAV_LIST_DIR}
[ -n "$corpus_dir" ] || usage_error "where are wav.scp and trials? give --corpus-dir, or set WAV_LIST_DIR"
exec python -m sv_py.prepare_wav_list --corpus-dir "$corpus_dir" --name "$name" --drop-unknown "$drop_unknown" --data-root "$1"
