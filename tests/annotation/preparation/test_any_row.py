"""Whatever a row holds, it is a prompt that can be stored, or has faults, or is blank: it never breaks."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annotation.preparation.cells import FORBIDDEN
from annotation.preparation.formats import Row
from annotation.preparation.mapping import detect_mapping
from annotation.preparation.parsed import ParsedPrompt
from annotation.preparation.prompts import PromptParser

COLUMNS = ("text", "prompt", "messages", "conversations", "instruction", "input", "system", "output", "reference")
COLUMNS += ("id", "document", "context", "split", "candidates", "responses", "candidate_a", "chosen", "rejected")
COLUMNS += ("metadata", "metadata.k", "label", "completion", "annotation_ids", "prompt_id", "kinds", "votes")

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["", " ", "Hi"])
)
roles = st.sampled_from(["user", "assistant", "system", "human", "gpt", "tool"])
contents = st.text(max_size=5) | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=5)}))
messages = st.fixed_dictionaries({"role": roles, "content": contents | scalars}) | st.fixed_dictionaries(
    {"from": roles, "value": contents}
)
chats = st.lists(messages, max_size=4)
answers = st.fixed_dictionaries({"answer": scalars}, optional={"model": scalars, "score": scalars})
values = st.recursive(
    scalars | chats | messages | st.lists(answers, max_size=3) | st.lists(st.text(max_size=5), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
rows = st.dictionaries(st.sampled_from(COLUMNS), values, min_size=1)


@settings(max_examples=400, deadline=None)
@given(rows, st.sampled_from(["jsonl", "parquet", "csv"]), st.sampled_from(["", "Be brief."]))
@example({"messages": [{"role": "assistant", "content": "Hi"}]}, "jsonl", "")
@example({"prompt": "Hi", "messages": [{"role": "assistant", "content": "Hello"}]}, "jsonl", "")
@example(
    {"chosen": [{"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "x"}]},
    "jsonl",
    "Be brief.",
)
@example({"text": "Hi", "candidates": json.loads("[" * 40 + "1" + "]" * 40)}, "jsonl", "")
def test_any_row_is_a_prompt_or_has_faults(values, format, persona):
    mapping = detect_mapping(list(values))
    parser = PromptParser(mapping, format=format, seed="s", share=0.5, persona=persona)
    parsed = parser.parse(Row(3, values, "", None))
    if isinstance(parsed, ParsedPrompt):
        assert parsed.text.strip()
        assert len(parsed.reads_as) == 64
        stored = [parsed.text, parsed.messages or "", parsed.reference, parsed.external_id, parsed.source_document]
        for text in [*stored, parsed.metadata, *(candidate.text for candidate in parsed.candidates)]:
            assert not FORBIDDEN.search(text)
        assert all(candidate.text.strip() and candidate.origin.startswith("import:") for candidate in parsed.candidates)
        json.loads(parsed.metadata)
    elif parsed is not None:
        assert parsed
        assert all(fault.row == 3 and fault.message for fault in parsed)


@pytest.mark.parametrize(
    "name", ["chosen", "rejected", "preferred_output", "non_preferred_output", "Chosen", "REJECTED"]
)
def test_chosen_and_rejected_are_never_ignored(name):
    for others in [("prompt",), ("messages",), ("text", "reference"), ("instruction", "input", "output"), ()]:
        assert name in detect_mapping([*others, name]).used_columns()
