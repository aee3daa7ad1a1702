"""Identifiers are uuid5s, as the standard library makes them."""

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain import ids


@given(st.text(), st.text(), st.lists(st.text() | st.integers()))
def test_an_identifier_is_the_uuid5_of_its_parts(org: str, kind: str, parts: list[object]) -> None:
    name = ids.SEPARATOR.join((kind, *map(str, parts)))
    assert ids.derive(org, kind, *parts) == str(uuid5(uuid5(ids.ROOT, org), name))


def test_the_namespaces_of_organisations_are_for_ever() -> None:
    """A changed identifier would make every alert, group and incident a new one."""
    assert UUID(ids.alert_id("default", "alertmanager", "955bdf9692ad12ea")).version == 5
    assert ids.alert_id("default", "alertmanager", "955bdf9692ad12ea") == "c8982d30-cb1d-52eb-a116-6a44fdd4c5fc"
