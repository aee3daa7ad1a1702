"""Receivers of an alertmanager.yml: each becomes a team and the policy that pages it; mail addresses become users."""

import re
from collections.abc import Mapping
from email.utils import getaddresses

from domain.config import ConfigObject, ContactMethod, Member, Team, User
from schemas.alertmanager_keys import closed
from schemas.alertmanager_notifiers import RECEIVER, check_notifier
from schemas.config_types import EMAIL_PATTERN
from schemas.config_yaml import Node
from schemas.imported import ONCALL, Import, Names, Path, policy_for

FILL_IN = f"Add users with role {ONCALL} to the team"


class Receivers:
    """The receivers of one file. `teams` are our names for theirs, which are the policies' as well.

    `general` is what the section `global` says: receivers fall back to it.
    """

    def __init__(self, file: Import, general: Mapping[str, Node]) -> None:
        self.file = file
        self.general = general
        self.teams = Names("receiver")
        self.known: set[str] = set()
        self._users = Names("user")
        self._objects: list[ConfigObject] = []
        self._addresses: dict[str, str] = {}

    def read(self, node: Node | None) -> list[ConfigObject]:
        """Users, teams and policies for the list `receivers`."""
        for path, item in self.file.items(node, ("receivers",)):
            members = closed(self.file, item, path, RECEIVER)
            name = self.file.text(members.get("name"), (*path, "name"))
            if not name or name in self.known:
                self.file.refuse(item, path, "Every receiver has a name of its own", "Correct the name")
                continue
            self.known.add(name)
            self._team(name, item, path, members)
        users = [User(user, contacts=(ContactMethod("email", to),)) for user, to in self._addresses.items()]
        return [*users, *self._objects]

    def _team(self, name: str, item: Node, path: Path, members: Mapping[str, Node]) -> None:
        team = self.teams.of(name)
        people: dict[str, None] = {}
        for key, listed in members.items():
            if key == "name":
                continue
            for where, config in self.file.items(listed, (*path, key)):
                said = check_notifier(self.file, key, config, where, self.general)
                if key == "email_configs":
                    people.update(dict.fromkeys(self._mails(config, said, where, team)))
            if key != "email_configs":
                what = key.removesuffix("_configs")
                remedy = f"{FILL_IN} `{team}` for the people whom it reached"
                self.file.leave(listed, (*path, key), f"Receiver `{name}` sends by {what}", remedy)
        if not people and members.keys() <= {"name", "email_configs"}:
            problem = f"Receiver `{name}` names no mail address: nobody is paged"
            self.file.leave(item, path, problem, f"{FILL_IN} `{team}`")
        self._objects += [Team(team, tuple(Member(user, ONCALL) for user in people)), policy_for(team)]

    def _mails(self, config: Node, said: Mapping[str, Node], path: Path, team: str) -> list[str]:
        """The users that one entry of `email_configs` reaches."""
        others = ", ".join(f"`{key}`" for key in said if key != "to")
        if others:
            problem = f"A receiver does not say how mails look and are sent: {others}"
            self.file.leave(config, path, problem, "Nothing, unless you miss it")
        to = self.file.text(said.get("to"), (*path, "to")) or ""
        users = []
        for _, address in getaddresses([to]):
            if re.match(EMAIL_PATTERN, address) and "{{" not in address:
                users.append(self._user(address))
            else:
                problem = "An address is made by a template, or none"
                self.file.leave(said.get("to", config), (*path, "to"), problem, f"{FILL_IN} `{team}`")
        return users

    def _user(self, address: str) -> str:
        user = self._users.of(address.lower(), like=address.partition("@")[0])
        self._addresses.setdefault(user, address)
        return user
