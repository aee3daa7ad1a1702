"""Taking secrets out of what monitoring systems send, before anything is stored or normalised.

A secret is known by the key that holds it, in JSON (`"password": ...`), in text (`password=...`, `"token": "..."`,
`Authorization: ...`) and in addresses (`https://user:password@host`, `?token=...`). All scans are linear in
the text's length. A key that names or counts secrets (`secret_name`, `token_count`) holds none.
"""

import re
from functools import lru_cache

from schemas.sources.bodies import Json

REDACTED = "[redacted]"
REMEMBERED = 64
"""Characters of a key, at most, whose judgement is remembered: senders use the same keys again and again."""

_SECRET = re.compile(
    r"authorization|passw|pwd$|passphrase|secret|token|cookie|credential|bearer|signature"
    r"|(api|access|private|signing|encryption|routing|service|integration|genie|auth)key"
)
_ABOUT_SECRETS = re.compile(r"(name|namespace|type|kind|count|total|version|expiry|age)$")
_HEADER = re.compile(r"(proxy)?authorization|(set)?cookie|x.*(key|token|secret|auth)")
_PUNCTUATION = re.compile(r"[^a-z0-9]")

_USERINFO = re.compile(r"://[^\s/?#\"'<>]*@")
_KEY = re.compile(r"(?<![\w.-])([\w.-]++)(=|%3[Dd]|\\?\"\s{0,4}:\s{0,4}|:[ \t])")
_VALUE = re.compile(r"\\?\"[^\"]*\"?|'[^']*'?|[^\s&\"'<>]+")
_LINE = re.compile(r"[^\r\n]*")


def is_secret_key(key: str) -> bool:
    """Whether a value under `key` is to be taken for a secret, whatever its case and punctuation."""
    return _judged_before(key) if len(key) <= REMEMBERED else _judged(key)


def _judged(key: str) -> bool:
    compact = _PUNCTUATION.sub("", key.lower())
    return _SECRET.search(compact) is not None and _ABOUT_SECRETS.search(compact) is None


_judged_before = lru_cache(maxsize=4096)(_judged)


def redact_json(value: Json) -> Json:
    """`value` with every secret replaced by "[redacted]"; lists keep their length, objects their keys."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {
            key: REDACTED if is_secret_key(key) and _may_be_secret(item) else redact_json(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return value


def redact_text(text: str) -> str:
    """`text` with the values of secret-looking keys and the user part of addresses replaced."""
    if "@" in text:
        text = _USERINFO.sub(f"://{REDACTED}@", text)
    if not ("=" in text or '"' in text or ": " in text or ":\t" in text or "%3" in text):
        return text  # nothing that `_KEY` finds, as in most texts
    pieces: list[str] = []
    done = 0
    for found in _KEY.finditer(text):
        if found.start() < done:
            continue
        value = _value_after(text, found)
        if value is not None and value.end() > value.start():
            pieces += (text[done : found.end()], REDACTED)
            done = value.end()
    return "".join(pieces) + text[done:]


def _may_be_secret(value: Json) -> bool:
    return value is not None and value != "" and not isinstance(value, bool)


def _value_after(text: str, key: re.Match[str]) -> re.Match[str] | None:
    """The secret that follows `key`; None when none does. Prose (`the token: expired`) is not a header."""
    if not is_secret_key(key[1]):
        return None
    if key[2][0] == ":":
        header = _HEADER.fullmatch(_PUNCTUATION.sub("", key[1].lower()))
        return _LINE.match(text, key.end()) if header else None
    return _VALUE.match(text, key.end())
