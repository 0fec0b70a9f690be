"""Three rows, as files of every format, and what they are in the project."""

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.models import Prompt

ROWS = [
    {
        "id": "r1",
        "text": "Is breakfast included?",
        "document": "mail 1",
        "reference": "It is, madam.",
        "candidate_formal": "朝食は付いております。",
        "candidate_casual": "朝ごはん付きだよ。",
        "metadata.topic": "food",
    },
    {
        "id": "r2",
        "text": 'Can I, perhaps,\ncheck in "early"?',
        "document": "mail 1",
        "reference": "",
        "candidate_formal": "十時から承ります。",
        "candidate_casual": "",
        "metadata.topic": "arrival",
    },
    {
        "id": "r3",
        "text": "=SUM(1) is no formula here",
        "document": "mail 2",
        "reference": "",
        "candidate_formal": "",
        "candidate_casual": "",
        "metadata.topic": "",
    },
]


def as_csv(rows, delimiter=","):
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def as_jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_parquet(rows):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def loaded():
    return [
        (
            p.external_id,
            p.text,
            p.source_document,
            p.reference,
            p.metadata,
            [(c.origin, c.text) for c in p.candidates.order_by("pk")],
        )
        for p in Prompt.objects.order_by("pk")
    ]


EXPECTED = [
    (
        "r1",
        "Is breakfast included?",
        "mail 1",
        "It is, madam.",
        {"topic": "food"},
        [("import:formal", "朝食は付いております。"), ("import:casual", "朝ごはん付きだよ。")],
    ),
    (
        "r2",
        'Can I, perhaps,\ncheck in "early"?',
        "mail 1",
        "",
        {"topic": "arrival"},
        [("import:formal", "十時から承ります。")],
    ),
    ("r3", "=SUM(1) is no formula here", "mail 2", "", {}, []),
]
