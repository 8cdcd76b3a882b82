"""Memory that is freed stays in the process."""

import sys

COUNT = """
import resource, sys
import numpy as np
from sv_py.data.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(200):
    [np.ones(100_000) for _ in range(4)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def test_arrays_that_come_and_go_are_not_cleared_anew_each_time(run, root):
    faults = {how: int(run(sys.executable, "-c", COUNT, how, cwd=root).stdout) for how in ("keep", "leave")}
    assert faults["keep"] < faults["leave"] / 2
