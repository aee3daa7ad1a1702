"""The application's clock, the only one the roles read: tests move it by a file.

Leases, skew and time-outs use unmoved clocks (the database's and the monotonic one); everything people see uses
this one.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], datetime]
"""Returns the time now, aware and in UTC."""


def system_clock() -> datetime:
    """The machine's time in UTC."""
    return datetime.now(UTC)


class FileClock:
    """The machine's time moved by as many seconds as a file says; a file that is absent or empty moves nothing.

    Every process that is given the same file moves together. The file is read again whenever it has changed; it
    is written by `move`. Raises ValueError when it holds something else than a number of seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.offset()

    def offset(self) -> timedelta:
        """By how much time is moved."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return timedelta()
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            text = self._path.read_text(encoding="ascii").strip()
            self._offset = timedelta(seconds=float(text or 0))
            self._seen = seen
        return self._offset

    def move(self, by: timedelta) -> None:
        """Move time by `by` for everybody who reads the file, in one step (never backwards: streams would not go)."""
        if by < timedelta():
            raise ValueError("time moves forward only")
        offset = self.offset() + by
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(f"{offset.total_seconds()}\n", encoding="ascii")
        fresh.replace(self._path)


def clock_from(path: Path | None) -> Clock:
    """The clock that the settings ask for: the machine's, or one moved by the file at `path`."""
    return FileClock(path) if path else system_clock
