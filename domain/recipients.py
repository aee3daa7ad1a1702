"""Whom a page reaches: a user by their id, or the channel of a team, an address that is the team's and no person's.

A recipient is one text in events, rows and answers. `team:development` cannot be taken for a user, because no user's id
has a colon in it.
"""

CHANNEL = "team:"
"""What the id of a team's channel begins with."""


def channel_of(team: str) -> str:
    """The channel of a team as a recipient."""
    return f"{CHANNEL}{team}"


def team_of(recipient: str) -> str | None:
    """The team whose channel this recipient is; None for a user."""
    return recipient.removeprefix(CHANNEL) if recipient.startswith(CHANNEL) else None


def called(recipient: str) -> str:
    """A recipient in a sentence: `ada`, `the channel of development`."""
    team = team_of(recipient)
    return recipient if team is None else f"the channel of {team}"
