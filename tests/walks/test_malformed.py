"""Whatever is sent to any address, by anybody: an answer below 500, with the site's headers.

Addresses are read from the URL resolver and names of parameters from the sources and the forms, so that a page or a
field added tomorrow is walked tomorrow.
"""

import importlib
import os
import pkgutil
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from django import forms
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.client import FakePayload
from django.urls import URLPattern, URLResolver, get_resolver

import annotation.web.forms
import training.web
from annotation.members.accounts import BACKEND
from annotation.models import Role
from deploy.wsgi import application
from tests.walks.every_page import everything

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent.parent
VALUES = {
    "nul": "a\0b",
    "only nul": "\0",
    "huge": "9" * 40,
    "beyond 64 bits": str(2**63),
    "negative": "-1",
    "long": "x" * 20_000,
    "list": "[]",
    "json": '{"a": [1, {"b": null}]}',
    "not a number": "nan",
    "infinite": "1e400",
    "digit of another script": "٣",
    "lone surrogate": "\udcff",
    "empty": "",
}
# Written into the address, as a person who edits it would.
IN_PATHS = {"huge": "9" * 40, "beyond 64 bits": str(2**63), "nul": "%00", "long": "x" * 3000, "bytes": "%ff%fe"}


def patterns(resolver=None, prefix=""):
    """(address with {names} for its converters, names) of every address, the administration's too."""
    for item in (resolver or get_resolver()).url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from patterns(item, route)
        elif isinstance(item, URLPattern):
            names = tuple(item.pattern.converters) or tuple(re.findall(r"\(\?P<(\w+)>", route))
            address = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)
            address = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", address)
            yield "/" + re.sub(r"[\^$\\]|\(\?:|\)\??", "", address), names


def parameters():
    """Every name that a view or a form of ours reads."""
    read = re.compile(r"""(?:GET|POST|form|posted|data)\.(?:get|getlist|dict)?\(?\[?["'](\w+)["']""")
    names = set()
    for folder in ("annotation", "training"):
        for path in (ROOT / folder).rglob("*.py"):
            names |= set(read.findall(path.read_text(encoding="utf-8")))
    for package in (annotation.web.forms, training.web):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    classes = [forms.BaseForm]
    while classes:
        found = classes.pop()
        classes += found.__subclasses__()
        names |= set(getattr(found, "base_fields", {}))
    return sorted(names)


@pytest.fixture
def world():
    return everything()


def clients(world):
    """A visitor and a person of each role, by name."""
    found = {"a visitor": Client(raise_request_exception=False)}
    for role in Role:
        client = Client(raise_request_exception=False)
        client.force_login(world.people[role], backend=BACKEND)
        found[role.value] = client
    return found


def fault(response, what):
    """What is wrong with this answer, or None."""
    if response.status_code >= 500:
        return f"{response.status_code}: {what}"
    if "Content-Security-Policy" not in response.headers or response.headers.get("X-Frame-Options") != "DENY":
        return f"without our headers: {what}"
    return None


def by_server(client, address, body, content_type):
    """A POST as the server passes it on. The test client makes its request before anything of ours runs."""
    environ = client._base_environ(
        REQUEST_METHOD="POST",
        PATH_INFO=unquote(address),
        CONTENT_TYPE=content_type,
        CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": FakePayload(body)},
    )
    answered = []
    # They would end the connection that has the test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        parts = b"".join(application(environ, lambda status, headers: answered.append((status, headers))))
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)
    [(status, headers)] = answered
    return HttpResponse(parts, status=int(status[:3]), headers=dict(headers))


def walk(requests):
    faults = []
    for what, send in requests:
        point = transaction.savepoint()
        faults.append(fault(send(), what))
        transaction.savepoint_rollback(point)
    return [found for found in faults if found]


def addresses(world):
    for address, names in sorted(set(patterns())):
        yield address, names, address.format(**{name: world.values.get(name, 1) for name in names})


def test_enough_is_found(world):
    assert len(list(addresses(world))) > 120
    assert {"choice", "payload", "page", "email", "active_seconds"} & set(parameters())
    assert len(parameters()) > 60


FORM = "application/x-www-form-urlencoded"
# Each request gives each field another kind of value, so that a few requests an address try nearly every pair of field
# and kind; KONOMI_WHOLE_WALK=1 tries every one.
SHIFTS = range(len(VALUES)) if os.environ.get("KONOMI_WHOLE_WALK") else (0, 4, 9)


@pytest.mark.parametrize("shift", SHIFTS)
def test_fields_and_queries_of_any_content(world, shift):
    names, values = parameters(), list(VALUES.values())
    people = clients(world)
    others = [who for who in people if who != Role.MANAGER]
    requests = []
    for place, (_, _, address) in enumerate(addresses(world)):
        given = {name: values[(at + shift + 3 * place) % len(values)] for at, name in enumerate(names)}
        raw = {name: value.encode("utf-8", "surrogateescape") for name, value in given.items()}
        query = "&".join(f"{name}={quote(value[:200])}" for name, value in raw.items() if b"\0" not in value)
        form = "&".join(f"{name}={quote(value)}" for name, value in raw.items()).encode()
        # Managers reach nearly every page.
        for who in (Role.MANAGER, others[(place + shift) % len(others)]):
            client = people[who]
            requests += [
                (f"GET {address} as {who}, {shift}", lambda c=client, a=address, q=query: c.get(f"{a}?{q}")),
                (
                    f"POST {address} as {who}, {shift}",
                    lambda c=client, a=address, f=form: c.generic("POST", a, f, FORM),
                ),
            ]
    faults = walk(requests)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("query", ["page=a%00b", "%00=1", "page=%ff%fe", "=", "&" * 2000, "page[]=1&page=2"])
def test_queries_that_no_page_has(world, query):
    client = clients(world)[Role.MANAGER]
    faults = walk(
        (f"GET {address}?{query[:40]}", lambda a=address: client.get(f"{a}?{query}"))
        for _, _, address in addresses(world)
    )
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("kind", IN_PATHS)
def test_addresses_of_any_content(world, kind):
    requests = []
    people = clients(world)
    for address, names, _ in addresses(world):
        for name in names:
            values = {other: world.values.get(other, 1) for other in names} | {name: IN_PATHS[kind]}
            made = address.format(**values)
            for who in ("a visitor", Role.MANAGER):
                requests.append((f"GET {made[:200]} as {who}", lambda c=people[who], a=made: c.get(a)))
    faults = walk(requests)
    assert not faults, "\n".join(faults)


BODIES = {
    "text/plain": b"\xff\x00",
    "application/json": b'{"a": ',
    "application/x-www-form-urlencoded; charset=zlib": b"a=1",
    "application/x-www-form-urlencoded; charset=base64": b"a=1",
    "application/x-www-form-urlencoded; charset=rot13": b"a=1",
    "application/x-www-form-urlencoded; charset=utf-16": b"a=1&b=%ff",
    "application/x-www-form-urlencoded; charset=nonsense": b"a=1",
    "application/x-www-form-urlencoded; charset=idna": b"a=\xff" + b"." * 100,
    "multipart/form-data": b"--x",
    "multipart/form-data; boundary=" + "x" * 300: b"--x",
    "multipart/form-data; boundary=x; charset=zlib": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
    "multipart/form-data; boundary=x": b'--x\r\nContent-Disposition: form-data; name="\0"\r\n\r\n\xff\r\n--x--',
    "multipart/form-data; boundary=y": b"--y\r\nContent-Disposition: form-data; name*=zlib''a\r\n\r\n1\r\n--y--",
    "multipart/form-data; boundary=é": b"",
}


@pytest.mark.parametrize("who", ["a visitor", Role.MANAGER])
def test_bodies_of_any_kind(world, who):
    """Each address gets a third of the bodies, as does each kind of address."""
    client = clients(world)[who]
    kinds = list(BODIES.items())
    requests = [
        (
            f"POST {address} as {who}, {kind}",
            lambda a=address, k=kind, b=body: by_server(client, a, b, k),
        )
        for place, (_, _, address) in enumerate(addresses(world))
        for kind, body in (kinds if os.environ.get("KONOMI_WHOLE_WALK") else kinds[place % 3 :: 3])
    ]
    faults = walk(requests)
    assert not faults, "\n".join(faults)


CODECS = ("zlib", "bz2", "hex", "base64", "rot13", "uu", "idna", "punycode", "undefined", "utf-7", "utf-16")


@pytest.mark.parametrize("charset", [*CODECS, "iso-8859-1", "cp932", "nonsense", "a" * 5000])
def test_a_charset_that_forms_do_not_have(charset):
    for kind in (FORM, "multipart/form-data; boundary=x"):
        answer = by_server(Client(), "/accounts/login/", b"login=a", f"{kind}; charset={charset}")
        assert (answer.status_code, answer["X-Frame-Options"]) == (415, "DENY")
        assert "UTF-8" in answer.text


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "UTF8", "utf_8", "U8"])
def test_a_charset_that_forms_have(charset):
    assert by_server(Client(), "/accounts/login/", b"login=a", f"{FORM}; charset={charset}").status_code == 403  # CSRF


UNREADABLE = [f"{FORM}; charset*=zlib''a%41", f"{FORM}; a*=nonsense'en'%62; charset=utf-8", "a/b; c*=x y''%78"]


@pytest.mark.parametrize("header", UNREADABLE)
@pytest.mark.parametrize("address", ["/accounts/login/", "/nowhere/", "/static/css/look.css"])
def test_a_content_type_that_django_cannot_read(header, address):
    answer = by_server(Client(), address, b"a=1", header)
    assert (answer.status_code, answer["X-Frame-Options"]) == (415, "DENY")
    assert "UTF-8" in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "NONSENSE"])
def test_other_methods(world, method):
    people = {who: client for who, client in clients(world).items() if who in ("a visitor", Role.MANAGER)}
    faults = walk(
        (f"{method} {address} as {who}", lambda c=client, a=address: c.generic(method, a, b"x"))
        for _, _, address in addresses(world)
        for who, client in people.items()
    )
    assert not faults, "\n".join(faults)
