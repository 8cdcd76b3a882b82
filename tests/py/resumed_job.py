"""Runs trainings in processes of their own, and kills them at given moments; forked, so that each starts at once.

Reads a line of JSON for each, ``{"argv": [...], "kill": [path, n, ms], "file_size": bytes, "log": path}``, and
answers with the number of the process and then its exit status, -9 for one that was killed. The moment of death is
``ms`` after the ``n``-th time that a temporary file whose path has ``path`` in it is opened.
"""

import json
import os
import resource
import signal
import sys
import threading

import torch._dynamo  # it and the next ones are imported by a training, but late, and take seconds
import torch.utils.tensorboard  # noqa: F401
from matplotlib.backends import backend_svg  # noqa: F401

from sv_py.cli import command
from sv_py.train.__main__ import main


def kill_at(path: str, count: int, milliseconds: float) -> None:
    """Arm the process's death."""
    left = count

    def hook(event: str, arguments: tuple) -> None:
        nonlocal left
        if event == "open" and str(arguments[0]).endswith(".tmp") and path in str(arguments[0]):
            left -= 1
            if left == 0:
                threading.Timer(milliseconds / 1000, os.kill, (os.getpid(), signal.SIGKILL)).start()

    sys.addaudithook(hook)


def run(job: dict) -> None:
    """Be the training of ``job``."""
    os.setpgid(0, 0)
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if job["kill"]:
        kill_at(*job["kill"])
    if job["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_size"], resource.RLIM_INFINITY))
    sys.argv = job["argv"]
    command(main)


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(json.loads(line))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
