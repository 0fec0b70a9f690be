"""The pictures in docs/img, made again: `python -m tests.screenshots`.

Starts the demonstration in a folder of its own, takes the page of each kind at two sizes, light and dark, in English
and Japanese, and goes once round the loop by the commands of docs/demo.md, with a headless Chromium looking on. Takes
some minutes, because the models are really trained; `--tasks` takes the pages of annotating alone.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from demo.phrases import PHRASES
from tests.stories.smoke import Demo, check_winner, guide_commands, until

POLITE = {english: polite for english, polite, _ in PHRASES}
PICTURES = Path(__file__).resolve().parent.parent / "docs" / "img"
SIZE = {"width": 1366, "height": 768}
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Photographer:
    """One of the four accounts, with a window."""

    def __init__(self, browser: Browser, demo: Demo, role: str, **window: object) -> None:
        self.demo = demo
        self.page: Page = browser.new_context(**{"viewport": SIZE, **window}).new_page()
        email, password = demo.accounts()[role]
        self.page.goto(f"{demo.url}/accounts/login/")
        self.page.fill("input[name=login]", email)
        self.page.fill("input[name=password]", password)
        self.page.click("main button[type=submit], main form button")
        self.page.wait_for_url(re.compile(r"^(?!.*/accounts/login/)"))

    def go(self, path: str) -> Page:
        self.page.goto(self.demo.url + path)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def take(self, path: str, name: str) -> None:
        self.go(path)
        self.shoot(name)

    def shoot(self, name: str) -> None:
        self.page.evaluate("document.activeElement && document.activeElement.blur()")
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        # Flat colours: a palette says them in half the bytes.
        Image.open(path).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path.relative_to(PICTURES.parent.parent)}: {path.stat().st_size // 1024} kB", flush=True)


def manage(demo: Demo, *arguments: object) -> str:
    """A command of the walk; its last line, which states the result."""
    print(f"$ manage.py {' '.join(map(str, arguments))}", flush=True)
    done = subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        env=demo.environment(),
        cwd=PICTURES.parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    last = done.stdout.strip().splitlines()[-1]
    print(last, flush=True)
    return last


def annotating(demo: Demo, browser: Browser) -> None:
    """The first step of the walk."""
    annotator = Photographer(browser, demo, "annotator")
    annotator.take("/", "home")
    concierge = batches(demo, "concierge")
    phrases = batches(demo, "hotel-phrases")

    page = annotator.go(f"/batches/{concierge['choosing']}/work/")
    for key in "1dq":  # the first answer, clearly, because it is more formal
        page.keyboard.press(key)
    page.wait_for_timeout(2000)  # the draft is saved
    annotator.shoot("choosing")
    page = annotator.go(f"/batches/{concierge['postediting']}/work/")
    text = page.input_value("textarea[name=text]")
    page.fill("textarea[name=text]", mended(text))
    page.wait_for_timeout(2000)
    annotator.shoot("postediting")
    annotator.take(f"/batches/{concierge['scoring']}/work/", "scoring")
    page = annotator.go(f"/batches/{phrases['writing']}/work/")
    page.fill("textarea[name=text]", POLITE[page.locator(".source .text").inner_text()])
    page.wait_for_timeout(2000)
    annotator.shoot("writing-japanese")
    annotator.take(f"/batches/{phrases['choosing']}/work/", "choosing-japanese")


def walk(demo: Demo, browser: Browser) -> None:
    """The rest of it, with real training."""
    manager = Photographer(browser, demo, "manager")
    until("the base model", lambda: demo.base_run()[0] == "succeeded", 400)
    pages = dict(PAGES_AFTER)
    for words in guide_commands():
        manage(demo, *words)
        command = next((command for command in pages if " ".join(words).startswith(command)), "")
        for path, name in pages.pop(command, ()):
            manager.take(path, name)
    print(check_winner(demo))


# What the guide shows when a command is done for the first time. Its commands name datasets and checkpoints by number,
# as a fresh demonstration counts them.
PAGES_AFTER: dict[str, tuple[tuple[str, str], ...]] = {
    "simulate concierge": (("/projects/concierge/", "project"),),
    "freeze_dataset concierge --for dpo": (("/datasets/2/", "dataset"),),
    "train_dpo": (("/projects/concierge/runs/", "runs"), ("/runs/3/", "run"), ("/checkpoints/3/", "checkpoint")),
    "round_result": (("/projects/concierge/rounds/", "rounds"),),
}


def tasks(demo: Demo, browser: Browser) -> None:
    """The four kinds as people have them before them: desk and phone, light and dark, English and Japanese."""
    concierge, phrases = batches(demo, "concierge"), batches(demo, "hotel-phrases")
    for (language, locale), (size, window), scheme in product(LANGUAGES, SIZES, ("light", "dark")):
        annotator = Photographer(browser, demo, "annotator", locale=locale, color_scheme=scheme, **window)
        page = annotator.page

        def shoot(kind: str, of: Photographer = annotator, tail: str = f"{size}-{scheme}-{language}") -> None:
            of.page.wait_for_timeout(1500)  # the draft is saved
            of.page.evaluate("scrollTo(0, 0)")
            of.shoot(f"tasks/{kind}-{tail}")

        annotator.go(f"/batches/{phrases['writing']}/work/")
        page.fill("textarea[name=text]", POLITE[page.locator(".source .text").inner_text()])
        shoot("writing")
        annotator.go(f"/batches/{concierge['postediting']}/work/")
        original = page.locator("#original").text_content() or ""
        page.fill("textarea[name=text]", mended(original))
        shoot("postediting")
        annotator.go(f"/batches/{concierge['scoring']}/work/")
        for number, aspect in enumerate(page.locator(".aspect").all()[:2]):
            aspect.locator("label.point").nth(3 - number).click()
        shoot("scoring")
        annotator.go(f"/batches/{(phrases if language == 'ja' else concierge)['choosing']}/work/")
        page.locator("label.alternative").first.click()
        page.locator("[name=strength][value='2']").check(force=True)
        page.locator("[name=reasons]").first.check(force=True)
        shoot("choosing")
        page.context.close()


LANGUAGES = (("en", "en-GB"), ("ja", "ja-JP"))
SIZES = (
    ("desk", {"viewport": SIZE}),
    ("phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}),
)


def batches(demo: Demo, project: str) -> dict[str, int]:
    found = demo.rows(
        "SELECT b.kind, b.id FROM annotation_batch b JOIN annotation_project p ON p.id = b.project_id "
        f"WHERE p.slug = '{project}' ORDER BY b.id DESC"
    )
    return dict(found)


def mended(text: str) -> str:
    """A first sentence put formally, as a person in the middle of the work would have it."""
    for casual, formal in (
        ("Hi there!", "Dear guest,"),
        ("Hey!", "Dear guest,"),
        ("Hello hello!", "Dear guest,"),
        ("Come back soon!", "We would be honoured to welcome you again."),
    ):
        text = text.replace(casual, formal)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", action="store_true", help="the pages of annotating alone")
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    arguments = parser.parse_args()
    (PICTURES / "tasks").mkdir(parents=True, exist_ok=True)
    executable = next(path for path in CHROMIUM if Path(path).exists())
    with tempfile.TemporaryDirectory(prefix="konomi-pictures-") as folder, sync_playwright() as playwright:
        demo = Demo((arguments.keep or Path(folder)) / "var", [sys.executable, "manage.py", "demo"])
        demo.var.mkdir(parents=True, exist_ok=True)
        demo.start()
        browser = playwright.chromium.launch(executable_path=executable, args=QUIET)
        try:
            annotating(demo, browser)
            tasks(demo, browser)
            if not arguments.tasks:
                walk(demo, browser)
        finally:
            browser.close()
            demo.stop()


if __name__ == "__main__":
    main()
