# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source this file
# Where the corpora lie: the only file that knows. Sourced by local/prepare_*.sh; --corpus-dir goes before it.
#
# Your paths belong in conf/corpora.site.sh, which git ignores, each on a line of this form, so that a variable of the
# environment still goes before it:
#   : "${AN4_DIR:=/corpora/an4}"

if [ -e "$SV_ROOT/conf/corpora.site.sh" ]; then
  # shellcheck source=/dev/null # exists at some sites only
  . "$SV_ROOT/conf/corpora.site.sh"
fi

: "${AN4_DIR:=}"              # holds etc/ and wav/
: "${SPEECHOCEAN762_DIR:=}"   # holds WAVE/, train/ and test/
: "${LIBRISPEECH_DIR:=}"      # holds SPEAKERS.TXT and train-clean-100/ or other parts
: "${VOXCELEB1_DIR:=}"        # holds dev/wav/ and test/wav/, or wav/
: "${VOXCELEB2_DIR:=}"        # holds dev/wav/ (converted from dev/aac/) and perhaps test/wav/
: "${VOXCELEB_LISTS_DIR:=}"   # what local/fetch_voxceleb_lists.sh brought
: "${VOXBLINK_DIR:=}"         # holds audio/ as cropped, and resource/
: "${VOXBLINK2_DIR:=}"        # holds audio/ as cropped
: "${MUSAN_DIR:=}"            # holds music/, speech/ and noise/
: "${RIRS_NOISES_DIR:=}"      # holds simulated_rirs/, real_rirs_isotropic_noises/ and pointsource_noises/
: "${CN_CELEB_DIR:=}"         # holds CN-Celeb_flac/, CN-Celeb2_flac/ or both
: "${THREE_D_SPEAKER_DIR:=}"  # holds train/, test/ and files/
: "${ESD_DIR:=}"              # holds 0001/, 0002/ and so on
: "${WAV_LIST_DIR:=}"         # holds wav.scp and trials, to evaluate models on
