"""What choices say about texts: which is better, and that an edited text is good. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

from annotation.kinds.choosing.payload import ChoosingPayload, Ranking
from annotation.kinds.votes import Label, Opinion, PromptLabels, Votes, put, vote

Labels = Sequence[Label[ChoosingPayload]]
TOLERANCE = 1e-9  # shares of a first place, such as thirds, are rounded
CHOICE_STRENGTH = {1: 0.5, 2: 1.0}  # "slightly better", "clearly better" as shares of the scale


def ranked_pairs(ranking: Ranking) -> Iterator[tuple[int, int, float]]:
    """Each two of the n ranked candidates once, n(n-1)/2 in all: (better, worse, 1), or (one, other, 0.5) of a tie."""
    for place, group in enumerate(ranking):
        for one, other in combinations(group, 2):
            yield one, other, 0.5
        for better in group:
            for worse in chain.from_iterable(ranking[place + 1 :]):
                yield better, worse, 1


def preferences(answer: ChoosingPayload) -> Iterator[tuple[int, int, float]]:
    """What an answer says of each two of its candidates; of more than two, a choice says nothing of the others."""
    if answer.is_bad:
        return
    if answer.is_ranking:
        yield from ranked_pairs(answer.groups)
    elif answer.choice == "tie":
        yield from ((one, other, 0.5) for one, other in combinations(answer.shown, 2))
    elif answer.chosen is not None:
        yield from ((answer.chosen, other, 1) for other in answer.shown if other != answer.chosen)


def add_choice_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """The votes of all choices. A ranking votes on each of its pairs."""
    for label in labels:
        answer = label.payload
        if answer.is_bad:
            continue
        if answer.is_ranking:
            for one, other, value in ranked_pairs(answer.groups):
                # Equally good is a difference of 0; how much better the better one is, a ranking does not say.
                strength = 0.0 if value == 0.5 else None
                texts = prompt.candidates[one], prompt.candidates[other]
                put(votes, *texts, vote(label, one, other, value=value, strength=strength))
        elif answer.choice == "tie":
            for first, second in combinations(answer.shown, 2):
                texts = prompt.candidates[first], prompt.candidates[second]
                put(votes, *texts, vote(label, first, second, value=0.5, strength=0.0))
        elif answer.chosen is not None:
            strength = CHOICE_STRENGTH.get(answer.strength or 0)
            for other in answer.shown:  # of more than two, nothing is said of the others
                if other != answer.chosen:
                    texts = prompt.candidates[answer.chosen], prompt.candidates[other]
                    put(votes, *texts, vote(label, answer.chosen, other, strength=strength))


def add_pair_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Better over worse, and an edited text over its original."""
    add_choice_votes(prompt, labels, votes)
    for label in labels:
        for candidate, text in label.payload.fixes.items():
            if prompt.is_edit(prompt.candidates[candidate], text):
                put(votes, text, prompt.candidates[candidate], vote(label, candidate))


def add_sft_votes(prompt: PromptLabels, labels: Labels, votes: Votes) -> None:
    """Edited texts and, if the options ask for them, texts that more than half of their judges put first, unless
    somebody called them bad."""
    for label in labels:
        for candidate, text in label.payload.fixes.items():
            votes[(text,)].append(vote(label, candidate))
    if not prompt.options.chosen_as_sft:
        return
    called_bad = {prompt.candidates[key] for label in labels if label.payload.is_bad for key in label.payload.shown}
    for text, judges in first_places(prompt, labels).items():
        own_shares = [sum(judged.share for judged in own) / len(own) for own in judges.values()]
        # A plurality is no majority: of three texts, that which 40 % put first is not one that people agree on.
        if text not in called_bad and sum(own_shares) > len(own_shares) / 2 + TOLERANCE:
            for own in judges.values():
                votes[(text,)] += [
                    vote(judged.label, *judged.candidates, value=first_vote(judged.share)) for judged in own
                ]
        elif any(own_shares):
            prompt.left_out["put first by half of the annotators or fewer, or called bad"] += 1


class Judged(NamedTuple):
    """One annotator's look at one text: the share of the first place that the text got, and its candidates."""

    share: float
    label: Label[ChoosingPayload]
    candidates: list[int]


def first_places(prompt: PromptLabels, labels: Labels) -> dict[str, dict[int, list[Judged]]]:
    """By text and annotator, every answer that judged the text. Texts that share the first place split it."""
    judged: dict[str, dict[int, list[Judged]]] = {}
    for label in labels:
        shown: dict[str, list[int]] = {}
        for key in label.payload.shown:
            shown.setdefault(prompt.candidates[key], []).append(key)
        if len(shown) < 2:  # it was no choice
            continue
        best = {prompt.candidates[key] for key in best_of(label.payload)}
        for text, candidates in shown.items():
            share = 1 / len(best) if text in best else 0.0
            judged.setdefault(text, {}).setdefault(label.annotator, []).append(Judged(share, label, candidates))
    return judged


def first_vote(share: float) -> float:
    """For a text by whoever put it first, against it by whoever did not, half where it shares the first place."""
    return share if share in (0, 1) else 0.5


def best_of(answer: ChoosingPayload) -> list[int]:
    """The candidates that the answer puts first."""
    if answer.is_ranking:
        return answer.groups[0]
    if answer.choice == "tie":
        return answer.shown
    return [] if answer.chosen is None else [answer.chosen]


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
    if answer.chosen is not None:
        best = answer.chosen
        return [((min(best, other), max(best, other)), best) for other in answer.shown if other != best]
    return [
        ((min(one, other), max(one, other)), "tie" if value == 0.5 else one)
        for one, other, value in ranked_pairs(answer.groups)
    ]


def opinions(answer: ChoosingPayload, origins: Mapping[int, str]) -> Iterator[Opinion]:
    """Of each two texts that the answer judges: which is better (its origin is the label), "tie" or "bad". The group is
    the two origins."""
    verdicts = [(one, other, "bad") for one, other in combinations(answer.shown, 2)] if answer.is_bad else []
    verdicts += [(one, other, "tie" if value == 0.5 else "") for one, other, value in preferences(answer)]
    for one, other, verdict in verdicts:
        pair = (min(one, other), max(one, other))
        group = " / ".join(sorted(origins.get(key, "") for key in pair))
        yield Opinion(pair, group, verdict or one, verdict or origins.get(one, ""))
