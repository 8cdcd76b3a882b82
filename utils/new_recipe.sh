#!/usr/bin/env bash
# Makes a new recipe, egs/<corpus>/<protocol>: choices of the driver's options, an experiment to edit, a README.
#
# Usage: utils/new_recipe.sh [options] <corpus>/<protocol>
#  e.g.: utils/new_recipe.sh voxceleb/v1
set -euo pipefail

# Begin configuration section.
config=  # the experiment that is copied as a start (default: conf/ecapa_mini.yaml)
# End configuration section.

. "$(dirname "${BASH_SOURCE[0]}")/../path.sh"
. "$SV_ROOT/utils/parse_options.sh"
expect_arguments 1 1 "$@"

[[ $1 =~ ^[a-z0-9_]+/[a-z0-9_]+$ ]] || usage_error "want <corpus>/<protocol> of a-z, 0-9 and _, not '$1'"
corpus="${1%/*}" recipe="$SV_ROOT/egs/$1" config="${config:-$SV_ROOT/conf/ecapa_mini.yaml}"
[ ! -e "$recipe" ] || usage_error "exists already: $recipe"
[ -f "$config" ] || usage_error "no such file: $config"
[[ $config =~ /?([A-Za-z0-9_.-]+\.yaml)$ ]] || usage_error "not a YAML file: $config"
experiment="conf/${BASH_REMATCH[1]}"

mkdir -p "$SV_ROOT/egs/$corpus"
new="$(mktemp -d "$SV_ROOT/egs/$corpus/.new.XXXXXX")"
trap 'rm -rf "$new"; rmdir "$SV_ROOT/egs/$corpus" 2>/dev/null || true' EXIT
chmod 755 "$new"
mkdir "$new/conf"
cp "$config" "$new/$experiment"
for folder in steps utils local; do ln -s "../../../$folder" "$new/$folder"; done

cat >"$new/run.sh" <<END
#!/usr/bin/env bash
# What is trained on what, and tested on what. See README.md.
# Options given here may be given again: the last one counts.
set -euo pipefail
cd "\$(dirname "\${BASH_SOURCE[0]}")"
exec ../../../run.sh \\
  --corpora $corpus \\
  --config $experiment \\
  --train-set data/${corpus}_train \\
  --test-sets data/${corpus}_test \\
  "\$@"
END
chmod 755 "$new/run.sh"

cat >"$new/README.md" <<END
# $1

What the corpus is, its licence, where to get it; who trains and who is tested.

    ./run.sh

\`local/prepare_$corpus.sh\` makes \`data/${corpus}_train\` and \`data/${corpus}_test\`; the latter holds \`trials\`, or the
recipe holds them as \`trials/${corpus}_test\`.

## Results

The table that \`utils/compare_exps.sh --markdown exp/*\` prints, with the commands and the revision.
END

mv -T "$new" "$recipe"
echo "made egs/$1; next: local/prepare_$corpus.sh, and the choices in egs/$1/run.sh"
