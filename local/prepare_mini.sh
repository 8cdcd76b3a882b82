#!/usr/bin/env bash
# Makes the mini corpus of synthetic voices, its manifests and its data dirs mini_train and mini_test (with trials).
#
# The audio lies in <data-root>/mini_wav. A run that was killed is continued; other options make the corpus anew.
#
# Usage: local/prepare_mini.sh [options] <data-root>
#  e.g.: local/prepare_mini.sh --seed 1 --num-train-speakers 200 data
set -euo pipefail

# Begin configuration section.
seed=0                  # <int> another seed, another corpus
nj=2                    # <int> number of processes; changes no byte
num_train_speakers=100  # <int> speakers of mini_train
num_test_speakers=30    # <int> speakers of mini_test, half of each gender
num_sessions=3          # <int> recording sessions of a speaker, each with its room, noise and microphone
num_utts=3              # <int> utterances of a session, 2 to 4 s each
speaker_spread=1.0      # <float> how much speakers differ; less is harder
snr_low=20              # <float> signal-to-noise ratio of the noisiest session, dB
snr_high=40             # <float> and of the cleanest
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"

wav="$1/mini_wav"
python -m sv_py.make_mini --seed "$seed" --nj "$nj" --num-train-speakers "$num_train_speakers" \
  --num-test-speakers "$num_test_speakers" --num-sessions "$num_sessions" --num-utts "$num_utts" \
  --speaker-spread "$speaker_spread" --snr-low "$snr_low" --snr-high "$snr_high" "$wav"
for name in mini_train mini_test; do
  python -m sv_py.prepare dir --corpus-dir "$wav" --tsv "$wav/$name.tsv" --name "$name" --data-root "$1"
done

trials="$1/mini_test/trials"
if ! cmp -s "$wav/mini_test.trials" "$trials"; then
  cp "$wav/mini_test.trials" "$trials.tmp"
  mv "$trials.tmp" "$trials"
fi
