"""How light the annotation pages are, and how soon they answer: each kind in a real browser, on a real site.

`manage.py serve` (gunicorn, gzip, hashed static files) and headless Chromium on one machine. Of each kind, with an
empty cache: bytes on the wire, requests, and the time from the click to the first key that acts, with a key pressed
again and again until it does. Then tasks are done by keyboard, and the time from Enter to the next task painted is
taken. Reported is the worst of the four kinds.

    python -m tests.benchmarks.page [--tasks 25] [--keep DIR]
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.benchmarks.report import report
from tests.site import PASSWORD, Site, running_site

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
EMAIL = "hana@example.org"
COLD_STARTS = 5
# Of each kind: the first key, how the page shows that it acted, and the keys that do one task.
KINDS: dict[str, tuple[str, str, list[str]]] = {
    "choosing": ("1", "document.querySelector('[name=choice]:checked') !== null", ["1", "q", "Enter"]),
    "scoring": ("1", "document.querySelector('.aspect :checked') !== null", ["1", "1", "1", "Enter"]),
    "postediting": ("e", "document.activeElement?.id === 'text'", ["a"]),
    "writing": ("e", "document.activeElement?.id === 'text'", ["e", "h", "i", "Control+Enter"]),
}
# From the submission to the frame in which the next task is painted.
WATCH = """
window.waits = [];
document.addEventListener("submit", () => { window.sent = performance.now(); }, true);
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target.id !== "task") return;
  const sent = window.sent;
  requestAnimationFrame(() => setTimeout(() => window.waits.push(performance.now() - sent)));
});
"""
NOTES = {
    "kilobytes": "on the wire, empty cache; target ≤ 100",
    "requests": "for the page and all it needs; target ≤ 8",
    "ready_ms": f"from the click to the first key that acts, median of {COLD_STARTS} cold starts; target ≤ 500",
    "next_ms": "from Enter to the next task painted, median; target ≤ 100",
}
SETUP = """
from annotation.models import Aspect, Project, ReasonTag
project = Project.objects.get()
for at, name in enumerate(("Meaning", "Fluency", "Register")):
    anchors = ["Unusable as it is", "Poor", "Passable", "Good", "As an expert would put it"]
    question = "Is anything lost, added or changed?"
    Aspect.objects.create(project=project, key=name.lower(), name=name, question=question, anchors=anchors, position=at)
    ReasonTag.objects.get_or_create(project=project, name=name, defaults={"position": at})  # some are there already
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="How light and quick the annotation pages are.")
    parser.add_argument("--tasks", type=int, default=25, help="tasks done of each kind (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    arguments = parser.parse_args()
    chromium = next((path for path in CHROMIUM if Path(path).exists()), None)
    if chromium is None:
        raise SystemExit("no Chromium on this machine: install the package chromium")
    with tempfile.TemporaryDirectory(prefix="konomi-page-") as folder:
        var = (arguments.keep or Path(folder)) / "var"
        with running_site(var, KONOMI_MANIFEST_STATIC="1") as site, sync_playwright() as playwright:
            batches = bring_in(site, var, arguments.tasks + COLD_STARTS)
            browser = playwright.chromium.launch(executable_path=chromium, args=QUIET)
            figures = {kind: measure(browser, site, kind, batch, arguments.tasks) for kind, batch in batches.items()}
            browser.close()
    worst: dict[str, float | int | str] = {key: max(row[key] for row in figures.values()) for key in NOTES}
    each = {f"{key}_{kind}": row[key] for kind, row in figures.items() for key in NOTES}
    report("page", worst | each, NOTES)


def bring_in(site: Site, var: Path, tasks: int) -> dict[str, int]:
    """An annotator, a project with texts of a usual length, and a batch of each kind: {kind: batch id}."""
    site.manage("create_user", EMAIL, "--name", "Hana Mori", "--password", PASSWORD)
    site.manage(
        "create_project",
        "hotel",
        "--name",
        "Hotel",
        "--source-language",
        "en",
        "--target-language",
        "ja",
        "--held-out-share",
        "0",
        "--annotator",
        EMAIL,
    )
    site.manage("shell", "-c", SETUP)
    file = var / "prompts.jsonl"
    rows = [
        {
            "text": f"Good evening. We arrive on the {n + 1}th and would like a quiet room on a high floor, with a cot "
            "for our daughter. Could you also tell us until when breakfast is served, and whether we may leave bags?",
            "one": f"こんばんは。{n + 1}日に到着いたします。高層階の静かなお部屋と、"
            "娘用のベビーベッドをお願いできますか。朝食は何時までか、荷物を預かっていただけるかも教えてください。",
            "two": f"こんばんは。{n + 1}日に着く。高い階の静かな部屋とベビーベッドがほしい。"
            "朝食は何時まで？荷物も置ける？",
        }
        for n in range(tasks)
    ]
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    site.manage("import_prompts", "hotel", file, "--candidate", "one=import:one", "--candidate", "two=import:two")
    batches = {}
    for at, kind in enumerate(KINDS, start=1):
        site.manage("open_batch", "hotel", kind, "--name", kind.title(), "--overlap", 1)
        batches[kind] = at
    return batches


def measure(browser: Browser, site: Site, kind: str, batch: int, tasks: int) -> dict[str, float]:
    url = f"{site.url}/batches/{batch}/work/"
    state = signed_in(browser, site)
    cold(browser, state, url, kind)  # the server's own first time is not a person's
    starts = [cold(browser, state, url, kind) for _ in range(COLD_STARTS)]
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url)
    for done in range(1, tasks + 1):
        for key in KINDS[kind][2]:
            page.keyboard.press(key)
        until(page, "", f"window.waits.length >= {done}", time.perf_counter())
    waits = page.evaluate("window.waits")
    context.close()
    return {
        "kilobytes": max(start[0] for start in starts) / 1000,
        "requests": max(start[1] for start in starts),
        "ready_ms": statistics.median(start[2] for start in starts),
        "next_ms": statistics.median(waits),
    }


def signed_in(browser: Browser, site: Site) -> Any:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/accounts/login/")
    page.locator("[name=login]").fill(EMAIL)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[name=password]").press("Enter")
    page.wait_for_url(f"{site.url}/")
    state = context.storage_state()
    context.close()
    return state


def cold(browser: Browser, state: Any, url: str, kind: str) -> tuple[float, int, float]:
    """Bytes, requests and milliseconds to the first key that acts, in a browser that has nothing yet."""
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    wire = context.new_cdp_session(page)
    requests, sizes = listen(wire)
    key, acted, _keys = KINDS[kind]
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    ready = until(page, key, acted, start)
    page.wait_for_load_state("networkidle")
    # The key that acted may have saved a draft by now: a POST, and no part of the page.
    counted = requests.count("GET"), sum(sizes)
    context.close()
    return counted[1], counted[0], ready


def listen(wire: CDPSession) -> tuple[list[str], list[float]]:
    requests: list[str] = []
    sizes: list[float] = []
    wire.on("Network.requestWillBeSent", lambda event: requests.append(event["request"]["method"]))
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    wire.send("Network.enable")
    return requests, sizes


def until(page: Page, key: str, acted: str, start: float, seconds: float = 30.0) -> float:
    """Press the key (if there is one) until the page says so; milliseconds from the start."""
    while time.perf_counter() - start < seconds:
        if key:
            page.keyboard.press(key)
        if page.evaluate(acted):
            return (time.perf_counter() - start) * 1000
    raise RuntimeError(f"{acted} did not come true within {seconds:.0f} s")


if __name__ == "__main__":
    main()
