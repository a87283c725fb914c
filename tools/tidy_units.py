#!/usr/bin/env python3
"""clang-tidy over the sources of a compile_commands.json, several at a time.

    tidy_units.py DATABASE_DIRECTORY JOBS PATTERN

Reads every source whose path matches PATTERN (a regular expression). One that had nothing to say is not read again until
something in it, in what it includes or in .clang-tidy has changed: a run that was interrupted goes on, and a run after a
change takes the time of what changed. Exit status 1 when there is something to say.
"""

import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time

TIDY = "clang-tidy-19"
COMPILER = "clang++-19"
# A third of the analyzer's budget for a function: half the time of the whole run.
ARGUMENTS = [
    "-quiet",
    "-checks=-bugprone-suspicious-include",
    "-extra-arg=-Wno-unknown-warning-option",
    "-extra-arg=-Xclang",
    "-extra-arg=-analyzer-config",
    "-extra-arg=-Xclang",
    "-extra-arg=max-nodes=75000",
]


def preprocessed(entry):
    """What the compiler reads, comments included (NOLINT)."""
    words = shlex.split(entry["command"])
    output = words.index("-o")
    flags = [word for word in words[1:output] + words[output + 2 :] if word != "-c"]
    run = subprocess.run(
        [COMPILER, "-E", "-C", *flags, "-Wno-error"],
        cwd=entry["directory"],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # about flags of another compiler
    )
    return run.stdout


def read(entry, database, configuration):
    """(seconds, what clang-tidy says): nothing where it has nothing to say."""
    begun = time.monotonic()
    key = hashlib.sha256(configuration + preprocessed(entry)).hexdigest()
    clean = os.path.join(database, "clean", key)
    if os.path.exists(clean):
        return 0, ""
    run = subprocess.run(
        [TIDY, *ARGUMENTS, "-p", database, entry["file"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode == 0:
        os.makedirs(os.path.dirname(clean), exist_ok=True)
        open(clean, "w", encoding="ascii").close()
        return time.monotonic() - begun, ""
    said = run.stdout + run.stderr
    return time.monotonic() - begun, said or f"clang-tidy ended with status {run.returncode}"


def main():
    database, jobs, pattern = sys.argv[1], int(sys.argv[2]), re.compile(sys.argv[3])
    with open(os.path.join(database, "compile_commands.json"), encoding="utf-8") as file:
        entries = [entry for entry in json.load(file) if pattern.search(entry["file"])]
    with open(".clang-tidy", "rb") as file:
        configuration = file.read() + " ".join(ARGUMENTS).encode()
    failed = not entries
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(read, entry, database, configuration): entry for entry in entries}
        for number, future in enumerate(concurrent.futures.as_completed(running), 1):
            seconds, said = future.result()
            name = os.path.relpath(running[future]["file"], os.path.dirname(database))
            print(f"[{number}/{len(entries)}] {seconds:4.0f} s {name}", said, sep="\n" if said else "", flush=True)
            failed = failed or bool(said)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
