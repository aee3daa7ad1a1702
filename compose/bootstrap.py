#!/usr/bin/env python3
"""Make `.venv` from the hashed requirements: `python3 compose/bootstrap.py [--dev]`. Standard library only.

Run by the Makefile with whatever `python3` is there; so an old one must understand it, and then looks for a newer one.
Done before: returns at once. Killed half-way: the next run starts over, once what this one started has ended. Run twice
at once: the second waits.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn, TextIO

OLDEST = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UNFINISHED = VENV / "unfinished"  # there while pip works: what pip leaves when killed cannot be trusted
OLD = ROOT / ".venv.old"  # an environment on its way out: by a rename, so that half of one never passes for whole


def main() -> None:
    requirements = "requirements-dev.txt" if "--dev" in sys.argv[1:] else "requirements.txt"
    if is_installed(requirements):
        return
    if sys.version_info < OLDEST:
        run_newer_python()
    with (ROOT / "pyproject.toml").open() as lock:
        wait_for(lock)
        if not is_installed(requirements):  # another run may have done it while we waited
            make_environment()
            install(requirements)


def wait_for(lock: TextIO) -> None:
    """Take the lock; what we start shares it, because pip may outlive a kill -9 of ours and still write to `.venv`."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Waiting for another make that installs here")
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.set_inheritable(lock.fileno(), True)


def is_installed(requirements: str) -> bool:
    """Whether a finished run installed exactly these requirements here; the development ones include the others."""
    return PYTHON.exists() and any(stamp_of(name).exists() for name in (requirements, "requirements-dev.txt"))


def stamp_of(requirements: str) -> Path:
    """The file that says so; its name also holds the place, because a moved environment does not work."""
    parts = (os.fsencode(str(ROOT)), (ROOT / requirements).read_bytes(), Path(__file__).read_bytes())
    return VENV / f"installed-{requirements}-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"


def run_newer_python() -> None:
    """Start over with a Python that is new enough, or stop."""
    for name in NEWER:
        path = shutil.which(name)
        if path:
            os.execv(path, [path, *sys.argv])  # noqa: S606 - this process becomes the newer Python
    found = ".".join(map(str, sys.version_info[:2]))
    stop(
        f"Tocsin needs Python 3.11 or newer and found only {found}: install one "
        "(Debian: apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.11"
    )


def make_environment() -> None:
    """An environment with pip; one that works and was not left unfinished is kept."""
    if PYTHON.exists() and not UNFINISHED.exists() and answers(PYTHON):
        return
    version = ".".join(map(str, sys.version_info[:2]))
    try:
        import ensurepip  # noqa: F401 - Debian leaves it out of its python3
    except ImportError:
        stop(f"This Python cannot make environments: install its venv (Debian: apt install python{version}-venv).")
    say(f"Making .venv with Python {version}")
    shutil.rmtree(OLD, ignore_errors=True)
    if VENV.exists():
        VENV.rename(OLD)
        shutil.rmtree(OLD, ignore_errors=True)
    run_or_stop(sys.executable, "-m", "venv", "--without-pip", str(VENV))
    UNFINISHED.touch()
    run_or_stop(str(PYTHON), "-m", "ensurepip", "--default-pip")


def run_or_stop(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, close_fds=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        stop(f"{VENV} could not be made (see above): check that the disk is not full and run make again.")


def answers(python: Path) -> bool:
    """Whether this Python runs, is of this environment, is new enough and has pip.

    One that has lost its pyvenv.cfg is the system's, and nothing must be installed into that.
    """
    test = (
        f"import os, sys, pip; sys.exit(sys.version_info < {OLDEST} or not os.path.samefile(sys.prefix, {str(VENV)!r}))"
    )
    return subprocess.run([str(python), "-c", test], stderr=subprocess.DEVNULL).returncode == 0


def install(requirements: str) -> None:
    UNFINISHED.touch()
    run_pip(requirements)
    add_ourselves()
    for old in VENV.glob("installed-*"):
        old.unlink()
    UNFINISHED.unlink()
    stamp_of(requirements).touch()


def run_pip(requirements: str) -> None:
    """Install, every file checked against its hash; on failure stop with pip's last lines and one sentence."""
    file = ROOT / requirements
    total = sum(1 for line in file.read_text().splitlines() if line[:1].isalnum())
    say(f"Installing up to {total} packages from {requirements} (a minute or two, once)")
    options = ["--require-hashes", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    pip = subprocess.Popen(
        [str(PYTHON), "-m", "pip", "install", *options, "-r", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        close_fds=False,
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
    )
    output = show_progress(pip, total)
    if pip.wait() != 0:
        sys.stderr.write("".join(output[-15:]))
        stop(explain("".join(output)))


def show_progress(pip: "subprocess.Popen[str]", total: int) -> "list[str]":
    """Pip's lines, while a counter tells how far it is: rewritten in place on a terminal, else each twenty packages."""
    output, count, terminal = [], 0, sys.stderr.isatty()
    for line in pip.stdout or ():
        output.append(line)
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            count += 1
            if terminal:
                sys.stderr.write(f"\r\033[K  {count} of {total}")
            elif count % 20 == 0:
                say(f"  {count} of {total}")
        elif line.startswith("Installing collected"):
            say(("\r\033[K" if terminal else "") + "  unpacking")
        sys.stderr.flush()
    return output


def explain(output: str) -> str:
    """One sentence, remedy included, for the ways in which pip fails."""
    if "DO NOT MATCH THE HASHES" in output:
        return (
            "A package differs from the one that was locked and is not used: find out who changed it, or who serves it."
        )
    if "No space left" in output:
        return "The disk is full: make room (about 600 MB) and run make again."
    if "Could not find a version" in output or "onnection" in output or "Temporary failure" in output:
        return "Packages could not be downloaded: check the network, or the package index that pip is set to use."
    return "pip could not install the packages (its last lines are above): put that right and run make again."


def add_ourselves() -> None:
    """Put the checkout on the environment's path and `tocsin` in its bin: nothing to build, so nothing to download."""
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([str(PYTHON), "-c", query], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    write_over(Path(packages) / "tocsin.pth", f"{ROOT}\n", 0o644)
    # through sh, because a path with a space cannot stand in a #! line; -P keeps the caller's own folders off the path
    script = f'#!/bin/sh\nexec {shlex.quote(str(PYTHON))} -P -m compose.cli "$@"\n'
    write_over(VENV / "bin" / "tocsin", script, 0o755)


def write_over(path: Path, text: str, mode: int) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def stop(sentence: str) -> NoReturn:
    sys.exit(f"make: {sentence}")


if __name__ == "__main__":
    try:
        main()
    except OSError as failure:
        stop(f"{failure.strerror} ({failure.filename or ROOT}): make room, or clone to a place that you may write to.")
    except KeyboardInterrupt:
        sys.exit("Stopped; run make again to go on.")
