"""The pages are true where that can be looked up: links lead somewhere, and what is named is there."""

import re
from pathlib import Path

import pytest

from schemas.config_files import SECTIONS, load_config, parse_documents

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
    inside = [link for link in found if "://" not in link]
    assert [link for link in inside if not is_there(page, link)] == []


def is_there(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
    return not anchor or anchor in [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", ["docs/explanation/promises.md", "docs/explanation/one-alert.md"])
def test_files_and_tests_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:\w+/)+\w+\.(?:py|sql|yaml))(?:::(\w+))?`", text)
    assert len(named) > 20
    assert [path for path, _ in named if not (ROOT / path).exists()] == []
    assert [name for path, name in named if name and f"def {name}(" not in (ROOT / path).read_text()] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [
        page for folder in ("how-to", "explanation", "reference") for page in (ROOT / "docs" / folder).glob("*.md")
    ]
    assert [name_of(page) for page in pages if f"({page.relative_to(ROOT / 'docs')})" not in index] == []


def test_the_windows_of_the_page_fit_beside_the_example() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/how-to/maintenance.md").read_text(), re.DOTALL)
    found = parse_documents(
        {f"block {number}": text for number, text in enumerate(blocks)}, load_config([ROOT / "compose" / "example"])
    )
    assert {key for key in found if key[0] == "window"} == {
        ("window", name) for name in ("payments-disks", "patch-night", "backups")
    }


def test_every_kind_of_object_is_named() -> None:
    text = (ROOT / "docs/how-to/change-the-configuration.md").read_text()
    assert [section for section in (*SECTIONS, "route") if f"`{section}`" not in text] == []
