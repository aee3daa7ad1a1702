"""Where Postgres may live, and as whom: it refuses to run as root, and then must be able to read its files without us.

A plain user runs it as himself, in the data directory. Root hands it to the owner of an existing database, else to
`nobody`; what that account cannot reach (a clone in root's own home, say) is put under /var/lib/tocsin, with a link to
it in the data directory.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from compose.processes import Say, StartError, User, run_tool, unheard

SHARED = Path("/var/lib/tocsin")  # only root writes there, so nobody else can have prepared a trap in it
READ_AND_ENTER = 0o005
ENTER = 0o001


def account_for(database: Path) -> User | None:
    """Whom Postgres runs as: None means ourselves; root gets the owner of an existing `database`, else nobody.

    Raises StartError for root on a machine without the account nobody.
    """
    if os.geteuid() != 0:
        return None
    if database.exists():
        status = database.stat()
        if status.st_uid != 0:
            return User(str(status.st_uid), status.st_uid, status.st_gid)
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError as error:
        raise StartError(
            "Postgres does not run as root and there is no account `nobody` here: run as a plain user."
        ) from error
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def reachable_by_others(path: Path) -> bool:
    """Whether any account may read `path` and enter every directory above it."""
    path = path.resolve()
    mode = path.stat().st_mode
    wanted = READ_AND_ENTER if path.is_dir() or mode & 0o111 else 0o004
    return mode & wanted == wanted and all(parent.stat().st_mode & ENTER for parent in path.parents)


def home_for(data_dir: Path, user: User | None, say: Say = unheard) -> Path:
    """The directory in which the database's own account keeps it: `data_dir/home`, or what that links to."""
    home = data_dir / "home"
    if (home / "data").exists():
        return home.resolve()
    if user is None or all(parent.stat().st_mode & ENTER for parent in (data_dir, *data_dir.resolve().parents)):
        home.mkdir(mode=0o700, exist_ok=True)
    elif not home.exists():
        home.unlink(missing_ok=True)  # a link whose target is gone
        home.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=_shared()))
        say(f"The database is kept in {home.resolve()}: the account {user.name} cannot enter {data_dir}")
    if user:
        os.chown(home, user.uid, user.gid)
    return home.resolve()


def programs_for(installed: Path, version: str, user: User | None, say: Say = unheard) -> Path:
    """The directory with bin, lib and share that `user` can run: `installed`, or a copy that everyone can read.

    Raises StartError when the copy does not run either.
    """
    if user is None or reachable_by_others(installed / "bin" / "postgres"):
        return installed
    copy = SHARED / f"postgresql-{version}"
    if not copy.exists():
        say(f"Copying the Postgres programs to {copy}: the account {user.name} cannot read {installed}")
        with tempfile.TemporaryDirectory(prefix="copy-", dir=_shared()) as staging:
            Path(staging).chmod(0o755)
            staged = Path(staging) / "new"
            _copy(installed, staged)
            _try_out(staged / installed.parent.name / installed.name, user)
            _publish(staged, copy)
    return copy / installed.parent.name / installed.name


def forget(data_dir: Path) -> None:
    """Delete what this directory links to elsewhere: the database, and a socket directory with a short name."""
    for link in (data_dir / "home" / "socket", data_dir / "home"):
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)  # gone already is as good


def _shared() -> Path:
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)  # whatever root's umask says
    return SHARED


def _copy(installed: Path, staged: Path) -> None:
    """The programs, and beside their package the libraries that a wheel's programs look for there; readable for all."""
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, staged / package.name / installed.name / part, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, staged / libraries.name)
    for path in (staged, *staged.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))


def _try_out(programs: Path, user: User) -> None:
    done = run_tool((str(programs / "bin" / "initdb"), "--version"), 30, cwd=programs, user=user)
    if done.returncode != 0:
        raise StartError(f"The copied Postgres programs do not run as {user.name}: {done.stdout.strip()}")


def _publish(staged: Path, copy: Path) -> None:
    """Rename into place; a copy that another process finished first is as good."""
    try:
        staged.rename(copy)
    except OSError:
        if not copy.exists():
            raise
