"""Configuration documents, made the configuration: the one path of `tocsin apply`, through a gateway or without."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from domain.decision import Cause, Refused
from schemas.api import ApplyAnswer, ConfigDiffEntry, ConfigFieldChange
from schemas.config_differences import FieldChange
from schemas.config_files import parse_documents
from schemas.config_warnings import warnings_of
from schemas.config_yaml import read_yaml
from streams.configuring import Applied, Expected, Key, apply, objects_of
from streams.store.base import Store


def apply_documents(
    store: Store,
    org: str,
    documents: Mapping[str, str],
    cause: Cause,
    now: datetime,
    salt: bytes,
    *,
    prune: bool = False,
    dry_run: bool = False,
    revision: int | None = None,
    asks: Key | None = None,
) -> ApplyAnswer:
    """Make the configuration what YAML documents say, by their names; what they do not name stays, unless `prune`.

    Parameters:
        revision: the revision that this is a change of; None: any.
        asks: the object in whose name this is asked, which pruning may not remove.
        salt, dry_run: as in `streams.configuring.apply`.

    Raises ConfigErrors with everything that is wrong, and as `apply` does.
    """
    objects = parse_documents(documents, {} if prune else objects_of(store.config()))
    if prune and asks is not None and asks not in objects:
        remedy = f"Name the {asks[0]} `{asks[1]}` in the documents, or use another."
        raise Refused("referenced", f"Pruning would remove the {asks[0]} that asks.", remedy)
    expected = Expected(None if revision is None else frozenset({revision}))
    done = apply(store, org, objects, cause, now, salt, prune=prune, dry_run=dry_run, expected=expected)
    roots = {name: read_yaml(text, name)[0] for name, text in documents.items()}
    warnings = tuple(map(str, warnings_of(roots, objects.values())))
    return answer_of(done, applied=not dry_run).model_copy(update={"warnings": warnings})


def answer_of(done: Applied, applied: bool) -> ApplyAnswer:
    """What a change of the configuration changed."""
    return ApplyAnswer(
        changes=tuple(
            ConfigDiffEntry(kind=kind, id=name, change=change, fields=fields_of(fields))
            for (kind, name, change), fields in zip(done.changes, done.fields, strict=True)
        ),
        applied=applied,
        revision=done.revision,
        position=done.position,
    )


def fields_of(changes: Iterable[FieldChange]) -> tuple[ConfigFieldChange, ...]:
    """Field changes as the API says them."""
    return tuple(ConfigFieldChange(field=one.field, before=one.before, after=one.after) for one in changes)
