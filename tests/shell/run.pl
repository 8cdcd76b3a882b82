#!/usr/bin/env python3
"""A stand-in that obeys the interface of Kaldi's run.pl: its options, its quoting, its logs, its messages."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def quote(argument: str) -> str:
    """Arguments with white space (or nothing) in them are quoted, the others are left for bash to interpret."""
    if re.fullmatch(r"\S+", argument):
        return argument
    return f"'{argument}'" if '"' in argument else f'"{argument}"'


def run_job(log: str, command: str) -> int:
    """Run one job under bash; its exit status."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    Path(log).write_text(f"# {command}\n# Started at {time.ctime()}\n#\n")
    start = time.time()
    code = subprocess.run(["bash"], input=f"( {command}) 2>>{log} >>{log}", text=True, check=False).returncode
    with open(log, "a") as file:
        seconds = int(time.time() - start)
        file.write(f"# Accounting: time={seconds} threads=1\n")
        file.write(f"# Ended (code {code}) at {time.ctime()}, elapsed time {seconds} seconds\n")
    return code


def main() -> int:
    """Options and JOB=1:N in any order (unknown options are ignored), then the log and the command."""
    arguments, name, first, last, at_once = sys.argv[1:], "", 1, 1, os.cpu_count()
    while True:
        if arguments[0] == "-V":
            del arguments[0]
        elif arguments[0].startswith("-"):
            if arguments[0] in ("--max-jobs-run", "-tc"):
                at_once = int(arguments[1])
            del arguments[:2]
        elif match := re.fullmatch(r"(\w+)=(\d+)(?::(\d+))?", arguments[0]):
            name, first, last = match[1], int(match[2]), int(match[3] or match[2])
            del arguments[0]
        else:
            break
    log, command = arguments[0], "".join(quote(a) + " " for a in arguments[1:])
    if name and name not in log and last > first:
        sys.exit(f"run.pl: you are trying to run a parallel job but you are putting the output into one log ({log})")

    def numbered(job: int) -> int:
        return run_job(log.replace(name, str(job)), command.replace(name, str(job))) if name else run_job(log, command)

    with ThreadPoolExecutor(at_once) as pool:
        codes = list(pool.map(numbered, range(first, last + 1)))
    failed = sum(code != 0 for code in codes)
    if failed and len(codes) == 1:
        print(f"run.pl: job failed, log is in {log.replace(name, str(first)) if name else log}", file=sys.stderr)
    elif failed:
        print(f"run.pl: {failed} / {len(codes)} failed, log is in {log.replace(name, '*')}", file=sys.stderr)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
