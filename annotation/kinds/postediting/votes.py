"""What a post-edit says about texts: the edited text is good, and better than the original unless unchanged."""

from collections.abc import Sequence

from annotation.kinds.postediting.payload import PosteditingPayload
from annotation.kinds.votes import Label, PromptLabels, Votes, put, vote

Labels = Sequence[Label[PosteditingPayload]]


def add_sft_votes(labels: Labels, votes: Votes) -> None:
    for label in labels:
        votes[(label.payload.text,)].append(vote(label, label.payload.candidate))


def add_pair_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    for label in labels:
        answer = label.payload
        original = prompt.candidates[answer.candidate]
        if prompt.is_edit(original, answer.text):
            put(votes, answer.text, original, vote(label, answer.candidate))


def add_unpaired_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """A text that was accepted unchanged is desirable."""
    for label in labels:
        if label.payload.unchanged:
            candidate = label.payload.candidate
            votes[(prompt.candidates[candidate],)].append(vote(label, candidate))
