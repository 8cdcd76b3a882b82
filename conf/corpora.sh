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
