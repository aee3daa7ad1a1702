"""A small file system for a server under test, to be really full: a tmpfs that only its holder has mounted.

The holder is a process in a mount namespace of its own, so nothing stays mounted on the machine, however a test ends.
Others reach the files through `/proc/<holder>/root` (proc(5)), which is open to the account that the holder runs as:
ours, or the one that root lets Postgres run as.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from compose.embedded.account import account_for

MEGABYTE = 1024 * 1024
PAGE = 4096
TRIES = 20
NEEDED = (
    "A test of a full disk mounts a small tmpfs in a mount namespace of its own. Run it as root (in a container: with "
    "--cap-add SYS_ADMIN), or let plain users have user namespaces: sysctl user.max_user_namespaces above 0, and, "
    "where there is one, kernel.apparmor_restrict_unprivileged_userns=0. unshare, mount and setpriv of util-linux are "
    "needed."
)


class SmallDisk:
    """A file system with room for `size` bytes.

    Raises AssertionError, with what to do, on a machine that allows none.
    """

    def __init__(self, size: int) -> None:
        mount = f"mount -t tmpfs -o size={size},mode=1777 tocsin /tmp"
        hold = "sh -c 'echo held && exec cat'"
        if user := account_for(Path("a database that is not there yet")):
            hold = f"setpriv --reuid={user.uid} --regid={user.gid} --clear-groups {hold}"
        unshare = ("unshare", "--mount") if user else ("unshare", "--user", "--map-root-user", "--mount")
        assert all(shutil.which(program) for program in ("unshare", "mount", "setpriv")), NEEDED
        self._holder = subprocess.Popen(
            (*unshare, "sh", "-c", f"{mount} && exec {hold}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout and self._holder.stderr
        if self._holder.stdout.readline() != b"held\n":
            raise AssertionError(f"{NEEDED} ({self._holder.stderr.read().decode().strip()})")
        self.folder = Path(f"/proc/{self._holder.pid}/root/tmp")
        """Its only folder, which everybody may write to. Never resolve it: the link through /proc is read by the
        kernel alone."""
        self._ballast = self.folder / "ballast"

    def fill(self) -> None:
        """From now on nothing more can be written, but what fits into the last page of a file: until whoever uses the
        disk deletes something.
        """
        for _ in range(TRIES):
            with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(PAGE))
            if os.statvfs(self.folder).f_bavail == 0:
                return
        raise AssertionError("somebody makes room again and again")

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """It is gone, once nobody has a file of it open."""
        self._holder.communicate(timeout=10)
