"""The page of one incident, its script run by Node before a window of which only the used part is there."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.asking import opened
from tests.gateway_world import KEYS, GatewayWorld

pytestmark = pytest.mark.peer("node", "nodejs")

NONE: Mapping[str, Any] = {}
BEFORE = "/on-call"
"""A path before ours, which a proxy takes away."""
WINDOW = """\
const {script, path, search, key, answers, behind, press} = JSON.parse(require("fs").readFileSync(0));
class Element {
  constructor(name) { Object.assign(this, {name, textContent: "", hidden: name === "access", parts: []}); }
  replaceChildren(...parts) { this.parts = parts; }
  append(...parts) { this.parts.push(...parts); }
  addEventListener(kind, act) { this[kind] = act; }
}
const text = it => typeof it === "string" ? it
  : it.href ? `[${it.textContent}](${it.href})` : it.textContent + it.parts.map(text).join("");
const elements = {}, said = {went: null};
const document = {getElementById: id => elements[id] ??= new Element(id), createElement: name => new Element(name)};
const address = to => new URL(to, "http://tocsin.test" + path);
const location = {pathname: path, search, replace: to => { said.went = address(to).href; }};
const sessionStorage = {getItem: () => key, setItem() {}, removeItem() {}};
const fetch = async (to, {headers}) => {
  const url = address(to), found = behind.pop() ?? answers[url.pathname + url.search];
  if (!found) throw new Error("asked for " + url.pathname + url.search);
  return {ok: found.status < 300, status: headers.Authorization === "Bearer " + key ? found.status : 401,
    json: async () => found.body, headers: {get: name => found.headers[name.toLowerCase()] ?? null}};
};
const setTimeout = (done, after) => { said.waited = (said.waited ?? 0) + after; done(); };
const given = {document, location, sessionStorage, fetch, setTimeout};
new Function(...Object.keys(given), script)(...Object.values(given));
process.once("beforeExit", () => { if (press) elements[press].click(); });
process.on("exit", () => {
  for (const [id, it] of Object.entries(elements)) said[id] = it.hidden ? null : text(it);
  console.log(JSON.stringify(said));
});
"""


@dataclass
class Browser:
    """Opens the page of an incident and says what is seen, or where it went."""

    world: GatewayWorld

    def open(self, address: str, behind: int = 0, press: str = "", answers: Mapping[str, Any] = NONE) -> dict[str, Any]:
        """Of the first answers, so many say that the read models are `behind`. Then a button is pressed, if one is
        named; `answers` are those to other questions about timelines, by cursor.
        """
        name, _, search = address.partition("?")
        page = self.world.request("GET", f"/incidents/{address}")
        (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
        window = {
            "script": script,
            "path": f"{BEFORE}/incidents/{name}",
            "search": search and f"?{search}",
            "key": KEYS["viewer"],
            "answers": dict(self._answers()) | {self._earlier(name, cursor): it for cursor, it in answers.items()},
            "press": press,
            "behind": [self._behind()] * behind,
        }
        ran = subprocess.run(
            ["node", "-e", WINDOW], input=json.dumps(window), capture_output=True, text=True, timeout=30, check=False
        )
        assert ran.returncode == 0, ran.stderr
        seen: dict[str, Any] = json.loads(ran.stdout)
        return seen

    def _answers(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the gateway answers, which the proxy has below its path; a redirect is not followed."""
        for name in ("INC-1", "INC-2", "INC-3", "INC-9"):
            for rest in ("", "?redirect=false", "/timeline"):
                path = f"/api/v1/incidents/{name}{rest}"
                answer = self.world.ask(path)
                yield BEFORE + path, _said(answer)

    def _earlier(self, name: str, cursor: str) -> str:
        return f"{BEFORE}/api/v1/incidents/{name}/timeline" + (f"?cursor={cursor}" if cursor != "none" else "")

    def _behind(self) -> dict[str, Any]:
        answer = self.world.ask(f"/api/v1/incidents?min_position={self.world.store.head() + 1}")
        assert answer.status_code == 503
        return _said(answer)


def _said(answer: httpx.Response) -> dict[str, Any]:
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.json()}


@pytest.fixture
def browser() -> Iterator[Browser]:
    with GatewayWorld() as world:
        for name in ("Down", "Slow", "Full"):
            opened(world, name, service="payments")
        yield Browser(world)


def merge(browser: Browser, loser: str, winner: str) -> None:
    assert browser.world.tell(loser, "merge", json={"into": winner}).status_code == 200


def page(address: str) -> str:
    return f"http://tocsin.test{BEFORE}/incidents/{address}"


def test_an_incident_is_shown(browser: Browser) -> None:
    seen = browser.open("INC-2")
    assert (seen["went"], seen["merged"], seen["said"], seen["access"]) == (None, "", "", None)
    assert seen["facts"].startswith("INC-2 · triggered · ")
    assert "incident.opened.v1" in seen["timeline"]


def test_what_happened_before_is_shown_when_somebody_wants_it(browser: Browser) -> None:
    answer = browser.world.ask("/api/v1/incidents/INC-2/timeline").json()
    (entry,) = answer["entries"]
    parts = {"none": ("the third", "older"), "older": ("the second", "oldest"), "oldest": ("the first", None)}
    answers = {
        cursor: {"status": 200, "body": {**answer, "entries": [{**entry, "text": text}], "next_cursor": following}}
        for cursor, (text, following) in parts.items()
    }
    seen = browser.open("INC-2", answers=answers)
    assert ("the third" in seen["timeline"], "the second" in seen["timeline"]) == (True, False)
    assert seen["earlier"] is not None
    seen = browser.open("INC-2", press="earlier", answers=answers)
    assert seen["timeline"].index("the third") < seen["timeline"].index("the second")
    assert ("the first" in seen["timeline"], seen["earlier"]) == (False, "")
    shorter = answers | {"older": answers["oldest"]}
    assert browser.open("INC-2", press="earlier", answers=shorter)["earlier"] is None


def test_one_that_is_not_there_to_be_read_yet_is_asked_for_again(browser: Browser) -> None:
    seen = browser.open("INC-2", behind=3)
    assert seen["facts"].startswith("INC-2 · triggered · ")
    assert (seen["waited"], seen["said"]) == (3000, "")


def test_nobody_waits_for_ever(browser: Browser) -> None:
    seen = browser.open("INC-2", behind=20)
    assert seen["waited"] == 5000
    assert seen["said"].endswith(" yet. Ask again after Retry-After seconds.")


def test_a_merged_one_goes_to_what_is_worked_on_which_says_so(browser: Browser) -> None:
    merge(browser, "INC-2", "INC-1")
    assert browser.open("INC-2")["went"] == page("INC-1?merged=INC-2")
    seen = browser.open("INC-1?merged=INC-2")
    assert seen["went"] is None
    assert seen["facts"].startswith("INC-1 · triggered · ")
    assert seen["merged"] == "INC-2 was merged into this incident; see [INC-2 itself](INC-2?redirect=false)."


def test_a_merged_one_is_shown_itself_and_leads_back(browser: Browser) -> None:
    merge(browser, "INC-2", "INC-1")
    seen = browser.open("INC-2?redirect=false")
    assert seen["went"] is None
    assert seen["facts"].startswith("INC-2 · merged · ")
    assert seen["merged"] == "INC-2 is merged into [INC-1](INC-1)."
    assert "incident.merged.v1" in seen["timeline"]
    assert seen["acts"] == ""


def test_through_several_it_goes_at_once_to_the_last(browser: Browser) -> None:
    merge(browser, "INC-3", "INC-2")
    merge(browser, "INC-2", "INC-1")
    assert browser.open("INC-3")["went"] == page("INC-1?merged=INC-3")
    assert browser.open("INC-1?merged=INC-3")["merged"].startswith("INC-3 was merged into this incident; ")


def test_a_merge_that_was_undone_is_not_spoken_of(browser: Browser) -> None:
    merge(browser, "INC-2", "INC-1")
    browser.world.tell("INC-2", "unmerge")
    assert browser.open("INC-2")["went"] is None
    assert browser.open("INC-2?redirect=false")["merged"] == ""
    assert browser.open("INC-1?merged=INC-2")["merged"] == ""


@pytest.mark.parametrize("led", ["INC-2", "INC-3", "INC-9", "", "<b>", "INC-2/../INC-3"])
def test_nobody_makes_the_page_say_what_is_not_so(browser: Browser, led: str) -> None:
    merge(browser, "INC-2", "INC-3")
    seen = browser.open(f"INC-1?merged={led}")
    assert (seen["went"], seen["merged"], seen["said"]) == (None, "", "")
    assert seen["facts"].startswith("INC-1 · ")
