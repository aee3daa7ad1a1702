"""What Alertmanager knows by name, and what it takes for a single value: closed sets of keys, addresses, booleans.

Alertmanager refuses a file with a key that it does not know, because a misspelt one would otherwise be missed for
good: with `inhibit_ruls` nothing is inhibited. Source: Alertmanager's configuration documentation, 0.25 to 0.28, and
the keys of later versions as far as they are known. Read next: `alertmanager_notifiers`, for the keys of receivers.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from schemas import durations
from schemas.config_types import nearest
from schemas.config_yaml import Node
from schemas.foreign_yaml import Quoted
from schemas.imported import Import, Path

TAKEN = ("route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals")
ROOT = ("global", "templates", "tracing", *TAKEN)
GLOBAL = (
    *("resolve_timeout", "http_config", "smtp_from", "smtp_hello", "smtp_smarthost", "smtp_require_tls"),
    *("smtp_auth_username", "smtp_auth_password", "smtp_auth_password_file", "smtp_auth_identity"),
    *("smtp_auth_secret", "smtp_auth_secret_file", "smtp_tls_config", "smtp_force_implicit_tls"),
    *("slack_api_url", "slack_api_url_file", "slack_app_token", "slack_app_token_file", "slack_app_url"),
    *("pagerduty_url", "opsgenie_api_url", "opsgenie_api_key", "opsgenie_api_key_file"),
    *("wechat_api_url", "wechat_api_secret", "wechat_api_secret_file", "wechat_api_corp_id"),
    *("victorops_api_url", "victorops_api_key", "victorops_api_key_file"),
    *("telegram_api_url", "telegram_bot_token", "telegram_bot_token_file", "webex_api_url", "jira_api_url"),
    *("rocketchat_api_url", "rocketchat_token", "rocketchat_token_file"),
    *("rocketchat_token_id", "rocketchat_token_id_file", "mattermost_webhook_url", "mattermost_webhook_url_file"),
)
ROUTE = (
    *("receiver", "group_by", "group_wait", "group_interval", "repeat_interval", "continue", "routes"),
    *("match", "match_re", "matchers", "mute_time_intervals", "active_time_intervals", "labels"),
)
SIDES = tuple(f"{side}{form}" for side in ("source_", "target_") for form in ("match", "match_re", "matchers"))
INHIBIT_RULE = ("name", "equal", "sources", *SIDES)
TIME_INTERVAL = ("name", "time_intervals")
SPAN = ("times", "weekdays", "days_of_month", "months", "years", "location")
TIMES = ("start_time", "end_time")

YES = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"))
NO = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"))
"""What go-yaml takes for a boolean."""

LONGEST = 9_223_372_036_854
"""Milliseconds of the longest duration that Go has: 63 bits of nanoseconds."""

_LABEL = re.compile(r"(?!\.\.\.$)[^@\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]{0,127}")
_SMARTHOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]+")
_HIDDEN = "<secret>"
"""Stands for an address in configuration that was read back from a running Alertmanager."""


def closed(file: Import, node: Node | None, path: Path, known: Collection[str]) -> dict[str, Node]:
    """The members of a mapping that say something; keys that Alertmanager does not know are refused."""
    members = file.members(node, path)
    for key, child in node.children.items() if node is not None and node.kind == "map" else ():
        if key not in known:
            close = nearest(str(key)[:80], known)
            remedy = f"Did you mean `{close}`?" if close else "Correct or remove it: Alertmanager refuses it too"
            place = Node(child.key_line or child.line, child.key_column or child.column)
            file.refuse(place, (*path, key), f"There is no key `{key}` here", remedy)
    return {key: child for key, child in members.items() if key in known}


def is_label(file: Import, node: Node, path: Path, name: str) -> bool:
    """Whether `name` is that of a label, as Alertmanager has it since 0.27: any text; others are refused.

    One with an @ in front would be a fact here, and `...` stands for all labels.
    """
    if _LABEL.fullmatch(name):
        return True
    remedy = "Write 1 to 128 characters, without control characters, that do not begin with @"
    file.refuse(node, path, f"`{name}` is not a label name", remedy)
    return False


def flag(file: Import, node: Node | None, path: Path) -> bool:
    """What a boolean says; no for none. One in quotes is a text, and refused."""
    text = file.text(node, path)
    if node is not None and isinstance(node.value, Quoted):
        file.refuse(node, path, f"`{text}` is a text in quotes, and neither true nor false", "Write it without quotes")
    elif node is not None and text is not None and text not in YES | NO:
        file.refuse(node, path, f"`{text}` is neither true nor false", "Write true or false")
    return text in YES


def seconds(file: Import, node: Node, path: Path) -> float | None:
    """A duration, which may be longer than any of ours; None for what is refused."""
    text = file.text(node, path)
    if text is None:
        return None
    try:
        milliseconds = durations.parse_milliseconds(text)
    except ValueError as error:
        file.refuse(node, path, f"`{text}` is not usable: {error}", "Write 30s, 5m or 4h")
        return None
    if milliseconds > LONGEST:
        file.refuse(node, path, f"`{text}` is too long for Alertmanager", "Write less than 292 years")
        return None
    return milliseconds / 1000


def check_address(file: Import, node: Node, path: Path) -> None:
    """Refuse what is not a web address. Newer versions take templates; what these make is not known here."""
    text = file.text(node, path)
    if text is None or text == _HIDDEN or "{{" in text:
        return
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        good = False
    if not good:
        # The text is not repeated: such addresses hold secrets.
        file.refuse(node, path, f"`{path[-1]}` is not a web address", "Write http://host/path or https://host/path")


def check_smarthost(file: Import, node: Node | None, path: Path) -> None:
    """Refuse what is not a mail server with its port."""
    text = file.text(node, path)
    if node is not None and text and not _SMARTHOST.fullmatch(text):
        file.refuse(node, path, f"`{text}` is not a host with its port", "Write host:port, e.g. mail.example.test:587")


def check_pairs(file: Import, said: Mapping[str, Node], path: Path) -> None:
    """Refuse a secret that is there itself and in a file as well."""
    for key, node in said.items():
        plain = key.removesuffix("_file")
        if plain != key and plain in said:
            file.refuse(node, (*path, key), f"`{plain}` and `{key}` are both there", "Remove one of the two")
