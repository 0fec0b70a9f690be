"""The disk fills while people work: clear pages, nothing acknowledged is lost, and work goes on when there is space."""

import contextlib
import os
import re
import tempfile
import time
from pathlib import Path

import pytest
import requests

from deploy.embedded.processes import postmaster
from tests.faults.disk import NoSmallDisk, fill, small_disk
from tests.faults.kills import database_folder, kill
from tests.site import PASSWORD, Person, running_site
from tests.stories.test_loop import reviews, said, wait_until

MEGABYTES = 320
CLEAR = {503: "starting again", 507: "disk is full"}


@pytest.fixture
def disk():
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(small_disk(MEGABYTES))
        except NoSmallDisk as error:
            pytest.skip(str(error))
        yield folder


def attempt(session, site, path, files=None, **fields):
    """Status and text of a form's answer, as a browser gets it."""
    fields["csrfmiddlewaretoken"] = session.cookies.get("csrftoken", "")
    answer = session.post(
        f"{site.url}{path}", data=fields, files=files, headers={"Referer": site.url}, timeout=60, allow_redirects=False
    )
    return answer.status_code, answer.text


@pytest.mark.timeout(300)
@pytest.mark.skipif(os.environ.get("DATABASE_URL", "") != "", reason="the embedded database lies on the small disk")
def test_a_full_disk_refuses_with_a_clear_page_and_recovers(disk):
    with running_site(disk / "var") as site:
        for who in ("manager", "annotator"):
            site.manage("create_user", f"{who}@example.org", "--name", who.title(), "--password", PASSWORD)
        people = ("--manager", "manager@example.org", "--annotator", "annotator@example.org")
        site.manage("create_project", "hotel", "--name", "Hotel", "--goal", "persona", "--persona", "Polite.", *people)
        with tempfile.TemporaryDirectory() as elsewhere:
            file = reviews(Path(elsewhere))
            content = file.read_bytes()
            site.manage("import_prompts", "hotel", file)
        batch = said(site.manage("open_batch", "hotel", "choosing", "--overlap", "1"), "batch")
        manager, annotator = Person(site, "manager@example.org"), Person(site, "annotator@example.org")

        def submit():
            session = annotator.session
            page = session.get(f"{site.url}/batches/{batch}/work/", timeout=60)
            if page.status_code != 200:
                return page.status_code, page.text
            path = re.search(r'action="(/assignments/\d+/submit/)"', page.text)[1]
            return attempt(session, site, path, choice="a", strength="2")

        acknowledged = 0
        for _ in range(3):
            acknowledged += submit()[0] in (200, 302)
        assert acknowledged == 3
        visitor = requests.Session()
        visitor.get(f"{site.url}/accounts/login/", timeout=60)

        page = manager.get("/projects/hotel/datasets/")
        form = next(form for form in page.forms if form.get("action", "").endswith("/datasets/"))
        chosen = {**dict(form.form_values()), "purpose": "dpo"}
        chosen.pop("csrfmiddlewaretoken")

        ballast = disk / "ballast"
        fill(ballast)
        health = requests.get(f"{site.url}/healthz", timeout=60)
        assert health.status_code == 503
        upload = {"file": ("more.jsonl", content * 60)}
        answers = {
            "sign-in": attempt(visitor, site, "/accounts/login/", login="manager@example.org", password=PASSWORD),
            "import": attempt(manager.session, site, "/projects/hotel/import/", files=upload),
            "freeze": attempt(manager.session, site, "/projects/hotel/datasets/", **chosen),
        }
        for _ in range(10):
            fill(disk / f"ballast-{time.monotonic_ns()}")
            answers["submit"] = submit()
            acknowledged += answers["submit"][0] in (200, 302)
        for what, (status, text) in answers.items():
            if status in (200, 302, 422):
                continue  # a write that still found room, or a refusal of the form beside it
            assert status in CLEAR, (what, status, text[:500])
            assert CLEAR[status] in text, (what, text[:500])
        assert answers["import"][0] == 507
        assert answers["freeze"][0] == 507

        # The console of `serve` is a file on the same disk: that it cannot be written ends nothing.
        server = postmaster(database_folder(site))
        assert kill(server)
        for _ in range(30):
            fill(disk / f"ballast-{time.monotonic_ns()}")
            time.sleep(0.1)
        assert site.process.poll() is None, "serve has ended"

        for path in disk.glob("ballast*"):
            path.unlink()
        healthy = f"{site.url}/healthz"
        wait_until(lambda: requests.get(healthy, timeout=60).status_code == 200, 60)
        wait_until(lambda: submit()[0] in (200, 302), 30)
        acknowledged += 1
        again = requests.Session()
        again.get(f"{site.url}/accounts/login/", timeout=60)
        status, _ = attempt(again, site, "/accounts/login/", login="manager@example.org", password=PASSWORD)
        assert status == 302
        count = site.ask("from annotation.models import Annotation; print(Annotation.objects.count())")
        assert count >= acknowledged
        assert not list((site.var / "datasets").glob("freezing-*")), "a freeze that failed leaves nothing"
        assert not list((site.var / "uploads").glob("incoming-*")), "an upload that failed leaves nothing"
        log = (site.var / "log" / "web.log").read_text()
        assert "Traceback" not in log, log[-3000:]
