#!/usr/bin/env bash
# Makes Lhotse manifests and a data dir of any folder speaker/[session/]utterance.ext, or of the files that a TSV names.
#
# Usage: local/prepare_dir.sh [options] <corpus-dir> <data-root>
#  e.g.: local/prepare_dir.sh --name calls --spk-prefix call- /corpora/calls data
#        local/prepare_dir.sh --tsv /corpora/calls/calls.tsv /corpora/calls data
set -euo pipefail

# Begin configuration section.
tsv=              # table with a header: utt-id, speaker, file (in <corpus-dir>); optional session, gender, part
name=             # the set's name, <data-root>/NAME; if empty, that of the folder
spk_prefix=       # put before every speaker id, and so every utterance id
skip_bad=false    # <bool> leave out files that cannot be used, and count them
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 2 2 "$@"

options=(--spk-prefix="$spk_prefix")
[ -z "$tsv" ] || options+=(--tsv "$tsv")
[ -z "$name" ] || options+=(--name "$name")
[ "$skip_bad" = false ] || options+=(--skip-bad)
exec python -m sv_py.prepare dir "${options[@]}" --corpus-dir "$1" --data-root "$2"
