"""Who presents a token: an API key, an integration or a heartbeat, found by the token's sha256.

Only hashes are kept. A token is looked up by its digest, so the time this takes tells nothing useful: whoever
guesses does not choose the digest that is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.config import ApiKey, Config, Integration, hashed
from domain.heartbeats import Heartbeat


@dataclass(frozen=True, slots=True)
class Keyring:
    """Everybody who is known at one revision of the configuration, by sha256 (hex, lower case) of their token.

    The kinds are kept apart: a webhook token opens nothing of the API, an API key posts no webhook, and what a
    heartbeat pings with does nothing else.
    """

    api_keys: Mapping[str, ApiKey]
    integrations: Mapping[str, Integration]
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Config) -> "Keyring":
        """The keyring that `config` says. A hash that two integrations share belongs to the first by name."""
        integrations: dict[str, Integration] = {}
        for integration in sorted(config.integrations.values(), key=lambda one: one.id):
            for digest in integration.token_hashes or ():
                integrations.setdefault(digest.lower(), integration)
        heartbeats = {digest: one for one in config.heartbeats.values() for digest in one.token_hashes or ()}
        return cls({key.hash.lower(): key for key in config.api_keys.values()}, integrations, heartbeats)

    def api_key(self, token: str) -> ApiKey | None:
        """The API key that `token` is, None when it is none."""
        return self.api_keys.get(hashed(token))

    def integration(self, token: str) -> Integration | None:
        """The integration that may present `token`, None when there is none."""
        return self.integrations.get(hashed(token))

    def heartbeat(self, token: str) -> Heartbeat | None:
        """The heartbeat that pings with `token`, None when there is none."""
        return self.heartbeats.get(hashed(token))
