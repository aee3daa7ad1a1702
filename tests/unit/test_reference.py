"""The reference files in docs/ are what the code says now."""

import pytest

from compose.reference import FOLDER, files, written


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return dict(files())


@pytest.mark.parametrize("name", sorted(written()))
def test_a_committed_file_is_current(name: str, made: dict[str, str]) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == made.get(name), f"docs/reference/{name} is out of date: run python -m compose.reference"


def test_no_file_is_missing(made: dict[str, str]) -> None:
    assert set(made) <= written(), "run python -m compose.reference"
