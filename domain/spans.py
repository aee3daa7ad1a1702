"""How long something lasted, in words."""

from datetime import timedelta


def span(length: timedelta) -> str:
    """A length of time in its two largest units: `30 s`, `12 min 5 s`, `2 h 5 min`, `3 d`."""
    seconds = max(0, round(length.total_seconds()))
    days, hours = seconds // 86400, seconds // 3600 % 24
    units = ((days, "d"), (hours, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    first = next((index for index, (amount, _) in enumerate(units) if amount), len(units) - 1)
    shown = [f"{amount} {unit}" for amount, unit in units[first : first + 2] if amount]
    return " ".join(shown) or "0 s"
