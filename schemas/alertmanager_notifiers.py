"""What sends for a receiver of an alertmanager.yml, as far as Alertmanager refuses it: what has to be said, and how.

Only mail addresses are taken over. The rest is checked so that a file which Alertmanager would not start with is not
taken for one that was in use. Source: Alertmanager's configuration documentation, <receiver> and what follows it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.alertmanager_keys import check_address, check_pairs, check_smarthost, closed, flag
from schemas.config_yaml import Node
from schemas.imported import Import, Path


@dataclass(frozen=True, slots=True)
class Need:
    """One of the keys `here` has to say something, unless one of `general` does in the section `global`."""

    here: tuple[str, ...]
    general: tuple[str, ...] = ()


def _either(key: str) -> tuple[str, str]:
    return key, f"{key}_file"


SLACK = (*_either("api_url"), *_either("app_token"))
NEEDS: Mapping[str, tuple[Need, ...]] = {
    "email_configs": (
        Need(("to",)),
        Need(("smarthost",), ("smtp_smarthost",)),
        Need(("from",), ("smtp_from",)),
    ),
    "webhook_configs": (Need(_either("url")),),
    "slack_configs": (Need(SLACK, tuple(f"slack_{key}" for key in SLACK)),),
    "pagerduty_configs": (Need((*_either("routing_key"), *_either("service_key"))),),
    "opsgenie_configs": (Need(_either("api_key"), _either("opsgenie_api_key")),),
    "victorops_configs": (Need(_either("api_key"), _either("victorops_api_key")), Need(("routing_key",))),
    "pushover_configs": (Need(_either("user_key")), Need(_either("token"))),
    "wechat_configs": (
        Need(_either("api_secret"), _either("wechat_api_secret")),
        Need(("corp_id",), ("wechat_api_corp_id",)),
    ),
    "sns_configs": (Need(("topic_arn", "target_arn", "phone_number")),),
    "telegram_configs": (Need(_either("bot_token"), _either("telegram_bot_token")), Need(_either("chat_id"))),
    "discord_configs": (Need(_either("webhook_url")),),
    "webex_configs": (Need(("room_id",)), Need(("http_config",))),
    "msteams_configs": (Need(_either("webhook_url")),),
    "msteamsv2_configs": (Need(_either("webhook_url")),),
    "jira_configs": (),
    "rocketchat_configs": (),
    "incidentio_configs": (),
    "mattermost_configs": (),
}
"""The ways to send that there are, and what each cannot do without."""

RECEIVER = ("name", *NEEDS)
EMAIL = (
    *("send_resolved", "to", "from", "hello", "smarthost", "headers", "html", "text", "threading"),
    *("auth_username", *_either("auth_password"), *_either("auth_secret"), "auth_identity"),
    *("require_tls", "tls_config", "force_implicit_tls"),
)
WEBHOOK = ("send_resolved", *_either("url"), "http_config", "max_alerts", "timeout", "payload")
CLOSED: Mapping[str, tuple[str, ...]] = {"email_configs": EMAIL, "webhook_configs": WEBHOOK}
"""The keys of the two ways that matter most; the others gain keys with nearly every version."""

ADDRESSES: Mapping[str, tuple[str, ...]] = {
    "webhook_configs": ("url",),
    "pagerduty_configs": ("url",),
    "sns_configs": (),
}
OTHER_ADDRESSES = ("api_url", "webhook_url", "app_url")
"""The keys that hold the address to send to: by the way to send, and those of every other."""


def check_notifier(file: Import, kind: str, node: Node, path: Path, general: Mapping[str, Node]) -> Mapping[str, Node]:
    """The members of one entry of `kind`, refusing what Alertmanager refuses. `general` is the section `global`."""
    said = closed(file, node, path, CLOSED[kind]) if kind in CLOSED else file.members(node, path)
    for need in NEEDS[kind]:
        if not any(_says(said, key) for key in need.here) and not any(_says(general, key) for key in need.general):
            names = " or ".join(f"`{key}`" for key in need.here if not key.endswith("_file"))
            elsewhere = f", or `{need.general[0]}` under `global`" if need.general else ""
            file.refuse(node, path, f"There is no {names}", f"Write it{elsewhere}")
    for key in ADDRESSES.get(kind, OTHER_ADDRESSES):
        if key in said:
            check_address(file, said[key], (*path, key))
    for key in ("send_resolved", "require_tls", "force_implicit_tls"):
        flag(file, said.get(key), (*path, key))
    check_smarthost(file, said.get("smarthost"), (*path, "smarthost"))
    if kind != "email_configs":
        # Mail is the exception: there the password itself wins over its file.
        check_pairs(file, said, path)
    return said


def _says(said: Mapping[str, Node], key: str) -> bool:
    return key in said and said[key].value != ""
