"""Who owns which service, from a JSON object: `{"api-gateway": {"team_name": "Platform", "description": "..."}}`.

Each service becomes one of the catalogue, with what is said of it, each team a team and the policy that pages it.
"""

import json
import re
from collections.abc import Mapping

from domain.config import ConfigObject, Service, Team
from schemas.config_errors import ConfigError, ConfigErrors
from schemas.config_models import LONGEST_DESCRIPTION
from schemas.config_types import ONE_LINE_PATTERN
from schemas.config_yaml import Node, at_offset
from schemas.foreign_yaml import read_foreign
from schemas.imported import ONCALL, Import, Imported, Names, policy_for

_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
"""A character beyond the first 65,536 as JSON escapes it, and YAML does not."""


def read_team_mapping(text: str, file: str) -> Imported:
    """What the file says as our objects. `names` of the answer are those of the services.

    Raises ConfigErrors for what is not such an object.
    """
    importing = Import(file)
    teams, services = Names("team"), Names("service")
    objects: list[ConfigObject] = []
    for service, node in importing.members(read_foreign(_as_yaml(text, file), file), ()).items():
        said = importing.members(node, (service,))
        team = importing.text(said.get("team_name"), (service, "team_name"))
        if not team:
            importing.refuse(node, (service,), "There is no `team_name`", 'Write {"team_name": "..."}')
            continue
        if team not in teams.given:
            ours = teams.of(team)
            objects += [Team(ours), policy_for(ours)]
            remedy = f"Add users with role {ONCALL} to `{ours}`"
            importing.leave(said["team_name"], (service, "team_name"), f"Nobody is in team `{team}` yet", remedy)
        name = services.of(service)
        description = _description(importing, service, said.get("description"))
        objects.append(Service(name, teams.of(team), teams.of(team), description=description))
        _leave(importing, service, name, node, said)
    importing.check()
    return Imported(tuple(objects), importing.left_behind(), dict(services.given))


def _description(importing: Import, service: str, node: Node | None) -> str | None:
    """What is said of a service, in one line; None when nothing is, or more than a description holds."""
    text = " ".join((importing.text(node, (service, "description")) or "").split())
    if node is None or not text:
        return None
    if len(text) > LONGEST_DESCRIPTION or not re.fullmatch(ONE_LINE_PATTERN, text):
        remedy = f"Write at most {LONGEST_DESCRIPTION} characters, without control characters"
        importing.leave(node, (service, "description"), "The `description` cannot be kept", remedy)
        return None
    return text


def _leave(importing: Import, service: str, name: str, node: Node, said: Mapping[str, Node]) -> None:
    """Take note of what a service cannot take along."""
    if name != service:
        remedy = "Alerts name their service by the label `service`: let them write it so"
        importing.leave(node, (service,), f"It is called `{name}` here", remedy)
    for key, child in said.items():
        if key not in ("team_name", "description"):
            importing.leave(child, (service, key), f"A service has no `{key}`", "Nothing, unless you miss it")


def _as_yaml(text: str, file: str) -> str:
    """The same document where it stands, as YAML that has it too. Raises ConfigErrors for what is not JSON."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        found = at_offset(file, text, error.pos, f"This is not JSON: {error.msg}", "Correct the file")
        raise ConfigErrors((found,)) from None
    except RecursionError:
        document = None
    if not isinstance(document, dict):
        remedy = 'Write {"SERVICE": {"team_name": "..."}}'
        raise ConfigErrors((ConfigError(file, 1, 1, (), "The file is not a JSON object", remedy),))
    whole = _PAIR.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
    return whole.replace("\t", " ").replace("\\/", "/")
