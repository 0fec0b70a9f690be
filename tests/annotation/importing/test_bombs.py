"""Small files that unpack to gigabytes, nest without end, or have as many columns as are read: the site goes on."""

import json
import resource
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from annotation.importing.run import ImportRefused, import_file
from annotation.members.accounts import BACKEND
from annotation.models import Import, Prompt, Role
from annotation.preparation import apart
from annotation.preparation.apart import TableApart, memory_limit
from annotation.preparation.files import ReadOptions, Unreadable
from annotation.preparation.formats import open_table
from tests.factories import ProjectFactory, join

LARGE = 8 << 20  # characters of one value


def dictionary_bomb(path):
    """One value of 8 MB that 512 rows share: 4 GB as soon as each row gets its own copy."""
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 512, pa.int32()), pa.array(["x" * LARGE]))
    pq.write_table(pa.table({"source": values}), path, compression="zstd", store_schema=False)


def page_bomb(path):
    """Zeros that compress to nothing: 900 MB within the limit of a row group."""
    pq.write_table(
        pa.table({"source": pa.array([bytes(60 << 20)] * 14, pa.binary())}),
        path,
        compression="zstd",
        use_dictionary=False,
    )


def wide_lists(path):
    path.write_text("".join('{"source": "a", "more": [' + "[]," * 1_000_000 + "[]]}\n" for _ in range(3)))


def wide_objects(path):
    path.write_text(json.dumps([{"source": "a", "more": [{} for _ in range(700_000)]} for _ in range(3)]))


def nested(path):
    path.write_text('{"source": "a", "more": ' + "[" * 200_000 + "]" * 200_000 + "}\n" + '{"source": "b"}\n')


def one_line(path):
    path.write_text('{"source": "' + "x" * (30 << 20))


BOMBS = {
    "dictionary.parquet": dictionary_bomb,
    "page.parquet": page_bomb,
    "lists.jsonl": wide_lists,
    "objects.json": wide_objects,
    "nested.jsonl": nested,
    "line.jsonl": one_line,
}


@pytest.fixture
def bomb(request, tmp_path):
    path = tmp_path / request.param
    BOMBS[request.param](path)
    return path


@pytest.mark.parametrize("bomb", BOMBS, indirect=True)
def test_a_bomb_is_refused_or_its_row_is_named(bomb):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows, refused = [], ""
    try:
        with TableApart(bomb, bomb.name, ReadOptions(), None) as table:
            rows = [(row.number, row.fault, len(str(row.values))) for row in table.rows()]
    except Unreadable as error:
        refused = str(error)
    assert refused or any(fault for _, fault, _ in rows)
    assert bomb.name in refused or all(fault for _, fault, size in rows if size > apart.ROW_LIMIT)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < 700, f"this process grew by {grown} MB"


def test_a_process_that_is_killed_is_an_unreadable_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("source\n" + "text\n" * 1000)
    with TableApart(path, "a.csv", ReadOptions(), None) as table:
        rows = table.rows()
        next(rows)
        table.process.kill()
        with pytest.raises(Unreadable, match=r"a\.csv needs more than"):
            list(rows)


def test_a_file_that_takes_too_long(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text('{"source": "a"}\n' * 200_000)
    monkeypatch.setattr(apart, "SECONDS", 0)
    with pytest.raises(Unreadable, match="longer than"), TableApart(path, "a.jsonl", ReadOptions(), None) as table:
        list(table.rows())


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_rows_are_those_of_a_file_read_here(tmp_path, ending):
    rows = [{"source": f"text {n} é 日本", "reference": "" if n % 7 else f"line\ttab {n}"} for n in range(2000)]
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif ending == "json":
        path.write_text(json.dumps(rows))
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"source": "z", "late": 1}]))
    else:
        mark = "," if ending == "csv" else "\t"
        path.write_text("source" + mark + "reference\n" + "".join(f"{row['source']}{mark}x\n" for row in rows))
    here = open_table(path, path.name, ReadOptions())
    with TableApart(path, path.name, ReadOptions(), None) as there:
        for _ in range(2):  # it may be read again, also after an early stop
            next(iter(there.rows()))
            assert [row[:3] for row in there.rows()] == [row[:3] for row in here.rows()]
        assert (there.columns, there.reading(), there.format) == (here.columns, here.reading(), here.format)
        assert there.share_read() == here.share_read()


def test_many_at_once_leave_no_process_behind(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("source\n" + "text\n" * 5000)
    counts, processes = [], []

    def look():
        with TableApart(path, "a.csv", ReadOptions(), None) as table:
            processes.append(table.process.pid)
            counts.append(sum(1 for _ in table.rows()))

    threads = [threading.Thread(target=look) for _ in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [5000] * 9
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in processes)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split(") ")[1][0] != "Z"
    except OSError:
        return False


def test_the_limit_is_taken_back():
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(Unreadable, match="needs more than 64 MB"), memory_limit("a.json", 64 << 20):
        bytes(1 << 30)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytes(1 << 28)) == 1 << 28


@pytest.mark.django_db
@pytest.mark.parametrize("bomb", ["dictionary.parquet"], indirect=True)
def test_an_import_of_a_bomb_is_refused(bomb):
    project = ProjectFactory()
    with pytest.raises(ImportRefused):
        import_file(project=project, path=bomb, filename=bomb.name, actor=None)
    assert not Prompt.objects.filter(project=project).exists()


@pytest.fixture
def manager(db):
    project = ProjectFactory()
    client = Client()
    client.force_login(join(project, Role.MANAGER), backend=BACKEND)
    return project, client


@pytest.mark.parametrize("bomb", ["dictionary.parquet", "nested.jsonl"], indirect=True)
def test_the_page_of_a_bomb(bomb, manager):
    project, client = manager
    file = SimpleUploadedFile(bomb.name, bomb.read_bytes())
    page = client.post(reverse("import_new", args=[project.slug]), {"file": file}, follow=True)
    assert page.status_code == 200
    assert "needs more than" in page.text or "nested too deeply" in page.text


@pytest.mark.parametrize("columns", [999, 1000])
def test_as_many_columns_as_are_read_can_be_confirmed(columns, manager):
    project, client = manager
    names = ["source", *(f"c{n}" for n in range(1, columns))]
    file = SimpleUploadedFile("wide.csv", (",".join(names) + "\n" + ",".join("x" * len(names)) + "\n").encode())
    page = client.post(reverse("import_new", args=[project.slug]), {"file": file}, follow=True)
    form = page.context["form"]
    fields = {bound.html_name: bound.value() for bound in form if bound.value() not in (None, False)}
    record = Import.objects.get(project=project)
    answer = client.post(reverse("import_columns", args=[record.pk]), fields)
    assert answer.status_code == 302, answer.text[:2000]
    record.refresh_from_db()
    assert record.status != Import.Status.UPLOADED
