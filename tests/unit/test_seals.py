"""Seals: the tree is RFC 6962's, and a signature covers everything."""

from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.seals import BadSeal, Seal, decode, encode, is_signed, leaf, sign
from tests.auditing import AT, KEY, merkle_root

SEAL = sign(Seal(3, "store", 1, 5, 9, "ab" * 32, "cd" * 32, AT, ""), KEY)


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40))
def test_the_root_is_that_of_rfc_6962(hashes: list[bytes]) -> None:
    leaves = list(enumerate(hashes, 1))
    assert merkle_root(leaves) == plain_root([leaf(*one) for one in leaves]).hex()


def test_a_leaf_is_its_position_and_hash_behind_a_zero() -> None:
    assert leaf(7, b"h" * 32) == sha256(b"\x00" + (7).to_bytes(8, "big") + b"h" * 32).digest()


def test_a_seal_is_read_back_as_it_was_written() -> None:
    assert decode(encode(SEAL)) == SEAL
    assert is_signed(SEAL)


@pytest.mark.parametrize("field", [field.name for field in fields(Seal)])
def test_no_field_can_be_changed_under_the_signature(field: str) -> None:
    value = getattr(SEAL, field)
    others: dict[type, Callable[[], Any]] = {int: lambda: value + 1, str: lambda: "00" * 32}
    other = others.get(type(value), lambda: value.replace(year=2020))()
    assert not is_signed(replace(SEAL, **{field: other}))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"number":1}', encode(SEAL)[:-1]])
def test_what_is_no_seal_is_refused(data: bytes) -> None:
    with pytest.raises(BadSeal):
        decode(data)
