"""Fixtures of the tests that drive shell scripts."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def run_pl() -> Path:
    """A dispatcher with the interface and the quoting of Kaldi's run.pl."""
    return Path(__file__).with_name("run.pl")
