"""What choices say about texts: which is better, and that an edited text is good. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations
from typing import Any

from annotation.kinds.choosing.payload import ChoosingPayload, Ranking
from annotation.kinds.votes import Label, PromptLabels, Vote, Votes, put, rows_of_pairs, vote
from annotation.models import Kind

Labels = Sequence[Label[ChoosingPayload]]
CHOICE_STRENGTH = {1: 0.5, 2: 1.0}  # "slightly better", "clearly better" as shares of the scale


def ranked_pairs(ranking: Ranking) -> Iterator[tuple[int, int, float]]:
    """Each two of the n ranked candidates once, n(n-1)/2 in all: (better, worse, 1), or (one, other, 0.5) of a tie."""
    for place, group in enumerate(ranking):
        for one, other in combinations(group, 2):
            yield one, other, 0.5
        for better in group:
            for worse in chain.from_iterable(ranking[place + 1 :]):
                yield better, worse, 1


def choice_votes(prompt: PromptLabels, labels: Labels, *, best_only: bool = False) -> Votes:
    """The votes of all choices. A ranking votes on each of its pairs; with `best_only`, on those of its first place."""
    votes: Votes = defaultdict(list)
    for label in labels:
        answer = label.payload
        if answer.is_bad:
            continue
        if answer.is_ranking:
            best = answer.groups[0]
            for one, other, value in ranked_pairs(answer.groups):
                if best_only and one not in best:
                    continue
                # Equally good is a difference of 0; how much better the better one is, a ranking does not say.
                strength = 0.0 if value == 0.5 else None
                texts = prompt.candidates[one], prompt.candidates[other]
                put(votes, *texts, vote(label, one, other, value=value, strength=strength))
        elif answer.choice == "tie":
            for first, second in combinations(answer.shown, 2):
                texts = prompt.candidates[first], prompt.candidates[second]
                put(votes, *texts, vote(label, first, second, value=0.5, strength=0.0))
        elif answer.chosen is not None:
            (other,) = (candidate for candidate in answer.shown if candidate != answer.chosen)
            texts = prompt.candidates[answer.chosen], prompt.candidates[other]
            strength = CHOICE_STRENGTH.get(answer.strength or 0)
            put(votes, *texts, vote(label, *answer.shown, strength=strength))
    return votes


def add_pair_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Better over worse, and an edited text over its original."""
    for texts, answers in choice_votes(prompt, labels).items():
        votes[texts] += answers
    for label in labels:
        for candidate, text in label.payload.fixes.items():
            put(votes, text, prompt.candidates[candidate], vote(label, candidate))


def add_sft_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Edited texts and, if the options ask for them, the sides that most annotators chose."""
    for label in labels:
        for candidate, text in label.payload.fixes.items():
            votes[(text,)].append(vote(label, candidate))
    if not prompt.options.chosen_as_sft:
        return
    rejected = {prompt.candidates[key] for label in labels if label.payload.is_bad for key in label.payload.shown}
    counted = set()
    for row in rows_of_pairs(choice_votes(prompt, labels, best_only=True), prompt.left_out):
        chosen = row.texts[0]
        if row.probability > 0.5 and chosen not in rejected:
            # The best of a ranking is ahead of several others, but it is one answer all the same.
            if (chosen, row.annotation_ids) in counted:
                continue
            counted.add((chosen, row.annotation_ids))
            sides = tuple(key for key in row.candidate_ids if prompt.candidates[key] == chosen)
            ids = row.annotation_ids
            answer = Vote(value=1, kind=Kind.CHOOSING.value, annotation_ids=ids, candidate_ids=sides)
            votes[(chosen,)].append(answer)
        else:
            prompt.left_out["chosen by half of the annotators only, or called bad"] += 1


def add_unpaired_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Texts that were called bad are undesirable."""
    for label in labels:
        if label.payload.is_bad:
            for candidate in label.payload.shown:
                votes[(prompt.candidates[candidate],)].append(vote(label, candidate, value=0))


def comparable(answer: ChoosingPayload) -> Iterable[tuple[Any, Any]]:
    """Of two texts, the choice. Of more, for each pair: which is better, or that neither is. "All bad" agrees with
    nothing but itself."""
    if len(answer.shown) <= 2:
        return [("", (answer.choice, answer.chosen))]
    if answer.is_bad:
        return [(pair, "bad") for pair in combinations(sorted(answer.shown), 2)]
    return [
        ((min(one, other), max(one, other)), "tie" if value == 0.5 else one)
        for one, other, value in ranked_pairs(answer.groups)
    ]
