"""A whole site for stories and benchmarks: `manage.py serve` in a folder of its own, and people who use it by HTTP."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from lxml import html
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from tests.signals import restore_interrupt

ROOT = Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery staple"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Site:
    """A running site; `manage` runs a management command in it and returns its standard output."""

    var: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def env(self) -> dict[str, str]:
        return {**os.environ, "KONOMI_VAR": str(self.var), **self.environment}

    def manage(self, *arguments: object) -> str:
        done = self._command(*arguments)
        if done.returncode:
            raise RuntimeError(f"{' '.join(done.args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def refusal(self, *arguments: object) -> str:
        """What a management command that must fail with exit code 1 says on standard error."""
        done = self._command(*arguments)
        if done.returncode != 1:
            raise RuntimeError(f"{' '.join(done.args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stderr

    def ask(self, code: str) -> Any:
        """What the code prints last, as JSON, run in the site's shell."""
        return json.loads(self.manage("shell", "-v", "0", "-c", code).splitlines()[-1])

    def _command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "manage.py"), *map(str, arguments)]
        return subprocess.run(command, env=self.env(), cwd=ROOT, capture_output=True, text=True, check=False)

    def run_module(self, name: str, *arguments: str) -> str:
        """A program such as an engine, in the site's environment."""
        command = [sys.executable, "-m", name, *arguments]
        done = subprocess.run(command, env=self.env(), cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout

    def start(self, seconds: float = 300) -> None:
        command = [sys.executable, str(ROOT / "manage.py"), "serve", "--port", str(self.port)]
        log = (self.var / "serve.log").open("ab")
        self.process = subprocess.Popen(command, env=self.env(), cwd=ROOT, stdout=log, stderr=log)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.ConnectionError, requests.Timeout):
                if requests.get(f"{self.url}/healthz", timeout=5).ok:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise RuntimeError(f"the site did not come up:\n{(self.var / 'serve.log').read_text()[-4000:]}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=120)


@contextlib.contextmanager
def running_site(var: Path, **environment: str) -> Iterator[Site]:
    var.mkdir(parents=True, exist_ok=True)
    restore_interrupt()
    site = Site(var=var, port=free_port(), environment=environment)
    site.start()
    try:
        yield site
    finally:
        site.stop()


class Person:
    """Somebody with a browser that has no JavaScript: signs in, reads forms, posts them."""

    def __init__(self, site: Site, email: str, password: str = PASSWORD) -> None:
        self.site = site
        self.session = requests.Session()
        # A server may close an idle connection at the very moment in which it is used again.
        retries = Retry(total=3, backoff_factor=0.1, allowed_methods=None)
        self.session.mount("http://", HTTPAdapter(max_retries=retries))
        self.page = self.get("/accounts/login/")
        self.post("/accounts/login/", login=email, password=password)
        if "account/login" in self.page_url:
            raise RuntimeError(f"{email} could not sign in")

    def get(self, path: str) -> html.HtmlElement:
        return self._read(self.session.get(f"{self.site.url}{path}", timeout=60))

    def post(self, path: str, **fields: object) -> html.HtmlElement:
        fields["csrfmiddlewaretoken"] = self.session.cookies.get("csrftoken", "")
        headers = {"Referer": self.site.url}
        return self._read(self.session.post(f"{self.site.url}{path}", data=fields, headers=headers, timeout=60))

    def fill(self, action: str, *, files: dict | None = None, **fields: object) -> html.HtmlElement:
        """Post the form on the page whose action begins so: its values, changed by `fields`."""
        posted = [form for form in self.page.forms if form.method == "POST"]
        form = next((form for form in posted if (form.get("action") or "").startswith(action)), None)
        if form is None:
            raise RuntimeError(f"{self.page_url} has no form for {action}")
        values: dict[str, object] = {}
        for name, value in form.form_values():
            values[name] = [*values[name], value] if name in values else [value]  # type: ignore[misc]
        values = {**values, **fields}
        response = self.session.post(
            f"{self.site.url}{form.get('action')}",
            data=values,
            files=files,
            headers={"Referer": self.site.url},
            timeout=60,
        )
        return self._read(response)

    def _read(self, response: requests.Response) -> html.HtmlElement:
        if response.status_code >= 400:
            raise RuntimeError(
                f"{response.request.method} {response.url}: {response.status_code} {response.text[:500]}"
            )
        self.page_url = response.url
        self.page = html.fromstring(response.text or "<html></html>")
        return self.page

    def submit_path(self) -> str | None:
        """Where the task on the page is submitted to; None when there is no task."""
        for form in self.page.iter("form"):
            if re.fullmatch(r"/assignments/\d+/submit/", form.get("action", "")):
                return str(form.get("action"))
        return None
