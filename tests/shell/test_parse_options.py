"""utils/parse_options.sh: strict options, told from the script's own configuration section."""

import subprocess

import pytest

SCRIPT = """#!/usr/bin/env bash
# Makes a thing.
#
# Usage: thing.sh [options] <in> [<out>]
#  e.g.: thing.sh --nj 8 data
{mode}

# Begin configuration section.
nj=4                 # <int> number of parallel jobs
max_jobs_run=        # <int> bound
rate=1e-3            # <float> learning rate
compress=false       # <bool> compress
# How jobs are run:
cmd="run.pl --mem 4G"  # dispatcher
config=              # a file
name=x               # an option may have any name
_po_free=            # even this
set=(a=1)            # repeatable: --set a=1 --set b=2
# End configuration section.

not_an_option=1
. {root}/utils/parse_options.sh
expect_arguments 1 {maximum} "$@"
for v in nj max_jobs_run rate compress cmd config name _po_free; do printf '%s=<%s>\\n' "$v" "${{!v}}"; done
printf 'set=<%s>\\n' "${{set[@]}}"
printf 'argument=<%s>\\n' "$@"
"""


@pytest.fixture
def script(tmp_path, root):
    """``script(*arguments, code=0)``: runs the script above, with a closed stdin and a short limit, in tmp_path."""

    def call(*arguments, code=0, mode="set -euo pipefail", maximum=2, text=SCRIPT):
        path = tmp_path / "thing.sh"
        path.write_text(text.format(mode=mode, root=root, maximum=maximum))
        done = subprocess.run(
            ["bash", path, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert not code or (done.stderr.startswith("thing.sh: ") and not done.stdout)
        assert [p.name for p in tmp_path.iterdir()] == ["thing.sh"]
        return done

    return call


def test_options_are_set_and_the_arguments_remain(script):
    out = script("--nj", "8", "--rate", "-2.5E3", "--compress", "true", "--cmd", "queue.pl -q x", "in", "out").stdout
    for expected in ("nj=<8>", "rate=<-2.5E3>", "compress=<true>", "cmd=<queue.pl -q x>"):
        assert expected + "\n" in out
    assert out.endswith("set=<a=1>\nargument=<in>\nargument=<out>\n")


def test_defaults_stay_without_options(script):
    assert script("in").stdout.startswith("nj=<4>\nmax_jobs_run=<>\nrate=<1e-3>\ncompress=<false>\n")


def test_dashes_and_underscores_name_the_same_option(script):
    for option in ("--max-jobs-run", "--max_jobs_run", "--max-jobs_run"):
        assert "max_jobs_run=<3>" in script(option, "3", "in").stdout


def test_the_last_of_two_values_counts(script):
    assert "nj=<3>" in script("--nj", "2", "--nj", "3", "in").stdout


def test_an_array_collects_its_values_in_place_of_the_default(script):
    assert script("--set", "b=2", "--set", "c= 3", "in").stdout.count("set=<") == 2
    assert "set=<b=2>\nset=<c= 3>\n" in script("--set", "b=2", "--set", "c= 3", "in").stdout


@pytest.mark.parametrize(
    "value",
    ["$(touch PWNED)", "`touch PWNED`", "a b", "'", '"', "a\nb", "*", "", "\\n", "%s", "x[$(touch PWNED)]", "-x"],
)
def test_values_are_stored_as_they_are(script, value):
    assert f"cmd=<{value}>\n" in script("--cmd", value, "in").stdout
    assert f"set=<{value}>\n" in script("--set", value, "in").stdout
    assert f"name=<{value}>\n" in script("--name", value, "in").stdout


def test_two_dashes_end_the_options(script):
    assert "argument=<--nj>\nargument=<3>\n" in script("--nj", "2", "--", "--nj", "3").stdout


def test_numbers_below_zero_are_values_and_arguments(script):
    assert "nj=<-1>" in script("--nj", "-1", "in").stdout
    assert "argument=<-0.5>" in script("-0.5").stdout


def test_empty_is_accepted_where_the_default_is_empty(script):
    assert "max_jobs_run=<>" in script("--max-jobs-run", "", "in").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--njj", "3", "in"], "unknown option '--njj' (did you mean '--nj'?)"),
        (["--max-job-run", "3", "in"], "unknown option '--max-job-run' (did you mean '--max-jobs-run'?)"),
        (["--zebra", "3", "in"], "unknown option '--zebra'; --help shows all"),
        (["--not-an-option", "3", "in"], "unknown option '--not-an-option'; --help shows all"),
        (["--PATH", "/x", "in"], "unknown option '--PATH'"),
        (["--a[$(touch PWNED)]", "3", "in"], "unknown option"),
        (["---nj", "3", "in"], "unknown option '---nj' (did you mean '--nj'?)"),
        (["--nj"], "--nj wants a value"),
        (["--nj", "--rate", "1", "in"], "--nj wants a value, but '--rate' follows it"),
        (["--nj=3", "in"], "write '--nj 3' instead of '--nj=3'"),
        (["-nj", "3", "in"], "options begin with two dashes: not '-nj'"),
        (["--nj", "3.5", "in"], "--nj wants an integer, not '3.5'"),
        (["--nj", "08", "in"], "--nj wants an integer, not '08'"),
        (["--nj", "", "in"], "--nj wants an integer, not ''"),
        (["--nj", "3 ", "in"], "--nj wants an integer, not '3 '"),
        (["--nj", "99999999999999999999", "in"], "--nj wants an integer"),
        (["--max-jobs-run", "many", "in"], "--max-jobs-run wants an integer, not 'many'"),
        (["--rate", "1e", "in"], "--rate wants a number, not '1e'"),
        (["--rate", "1,5", "in"], "--rate wants a number, not '1,5'"),
        (["--compress", "True", "in"], "wants true or false, not 'True' (did you mean 'true'?)"),
        (["--compress", "yes", "in"], "(did you mean 'true'?)"),
        (["--compress", "0", "in"], "(did you mean 'false'?)"),
        (["--compress", "maybe", "in"], "wants true or false, not 'maybe'"),
        ([], "0 arguments instead of 1 to 2"),
        (["a", "b", "c"], "3 arguments instead of 1 to 2"),
        (["in", "--nj", "3"], "'--nj' after the arguments: options come first"),
    ],
)
@pytest.mark.parametrize("mode", ["set -euo pipefail", ""], ids=["strict", "lax"])
def test_what_is_wrong_is_told_and_exits_1_instead_of_hanging(script, arguments, message, mode):
    assert message in script(*arguments, code=1, mode=mode).stderr


def test_wrong_arguments_print_the_usage(script):
    assert "Usage: thing.sh [options] <in> [<out>]\n e.g.: thing.sh --nj 8 data\n" in script(code=1).stderr


def test_the_number_of_arguments_can_be_unlimited(script):
    assert script(*"abcdefgh", maximum="inf").stdout.count("argument=") == 8
    assert "0 arguments instead of at least 1" in script(maximum="inf", code=1).stderr


def test_help_shows_the_head_and_every_option_with_type_and_default(script):
    for flag in ("--help", "-h"):
        out = script("--nj", "3", flag).stdout
        assert out.startswith("Makes a thing.\n\nUsage: thing.sh [options] <in> [<out>]\n")
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert "--nj <int> number of parallel jobs [4]" in lines
        assert "--max-jobs-run <int> bound" in lines
        assert "--cmd <string> dispatcher [run.pl --mem 4G]" in lines
        assert "How jobs are run:" in lines
        assert "not-an-option" not in out


def test_a_line_that_is_no_option_in_the_configuration_section_is_an_error(script):
    text = SCRIPT.replace("nj=4 ", "export nj=4 ")
    assert "line 9: the configuration section holds only" in script("in", code=1, text=text).stderr
    assert "no such type of option: <integer>" in script("in", code=1, text=SCRIPT.replace("<int>", "<integer>")).stderr


def test_a_script_without_a_whole_configuration_section_is_an_error(script):
    source = ". {root}/utils/parse_options.sh\n"
    assert "no lines '# Begin configuration section.'" in script(text="nj=1\n" + source, code=1).stderr
    assert "line 3: the" in script(text="# Begin configuration section.\nnj=1\n" + source, code=1).stderr
