"""The reference pages in docs/ are what the code says now."""

import pytest

from compose.reference import FOLDER, pages


@pytest.mark.parametrize("name", ["settings.md", "events.md", "cli.md"])
def test_a_committed_page_is_current(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == pages()[name], f"docs/reference/{name} is out of date: run python -m compose.reference"


def test_no_page_is_left_over() -> None:
    assert {file.name for file in FOLDER.glob("*.md")} == set(pages())
