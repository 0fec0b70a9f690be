"""Edits with moved blocks, as in TER (Snover et al. 2006): the figures of sacrebleu, which follows Tercom and takes
milliseconds for a sentence. Texts are strings here, each word one character.

Tests compare the figures with sacrebleu's. Two things make them quick: the alignment is computed for all words of the
goal at once, in the bits of whole numbers (Hyyrö 2003), and rapidfuzz measures the moves.
"""

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

# Tercom's limits, and sacrebleu's of moves measured.
MAX_BLOCK = 10
MAX_DISTANCE = 50
BEAM = 25
MAX_MEASURED = 1000


class Alignment(NamedTuple):
    """`of_goal` is the position in the text at which each word of the goal is, or after which it is missing; -1 at the
    beginning. `text_errors` and `goal_errors` count the words that are not in the other up to each position."""

    of_goal: list[int]
    text_errors: list[int]
    goal_errors: list[int]


def edits_with_moves(text: str, goal: str) -> int:
    """The fewest edits that Tercom's search finds: moves of blocks first, each if it saves more than it costs, then
    words inserted, deleted or replaced.

    A move takes no word away and adds none, so there are at least as many edits as words missing on one side: where the
    distance is no more than that, no move can gain anything, and none is looked for.
    """
    fewest = words_missing(text, goal)
    distance = int(Levenshtein.distance(text, goal))
    moves = measured = 0
    while distance > fewest:
        gain, moved, measured = best_move(text, goal, distance, measured)
        if gain <= 0 or measured >= MAX_MEASURED:
            break
        moves, text, distance = moves + 1, moved, distance - gain
    return moves + distance


def words_missing(text: str, goal: str) -> int:
    """How many words one has that the other lacks, wherever they are; the larger of the two numbers."""
    of_text = Counter(text).get
    kept = 0
    for word, wanted in Counter(goal).items():
        if there := of_text(word):
            kept += min(there, wanted)
    return max(len(text), len(goal)) - kept


def best_move(text: str, goal: str, distance: int, measured: int) -> tuple[int, str, int]:
    """(edits saved, the text after the move, how many moves were measured by now) of the move that saves most; of
    equals the longest block, then the first, then the first place. Only words that are errors move, to errors."""
    alignment = aligned(text, goal, distance)
    of_goal, text_errors, goal_errors = alignment
    places: dict[str, list[int]] = {}
    for at, word in enumerate(goal):
        places.setdefault(word, []).append(at)
    best: tuple[int, int, int, int] = (0, 0, 0, 0)
    for start, word in enumerate(text):
        starts = places.get(word, [])
        for goal_start in starts[bisect_left(starts, start - MAX_DISTANCE) :]:
            if goal_start > start + MAX_DISTANCE:
                break
            most = min(MAX_BLOCK, len(text) - start, len(goal) - goal_start)
            for length in range(1, most + 1):
                if text[start + length - 1] != goal[goal_start + length - 1]:
                    break
                if (
                    text_errors[start + length] == text_errors[start]
                    or goal_errors[goal_start + length] == goal_errors[goal_start]
                    or start <= of_goal[goal_start] < start + length
                ):
                    continue
                targets = {of_goal[at] + 1 for at in range(max(goal_start - 1, 0), goal_start + length)}
                if goal_start == 0:
                    targets.add(0)
                for target in targets:
                    measured += 1
                    # A move that saves less than the best so far is not measured to the end.
                    enough = distance - max(best[0], 1)
                    moved = with_move(text, start, length, target)
                    gain = distance - int(Levenshtein.distance(moved, goal, score_cutoff=enough))
                    if gain > 0:
                        best = max(best, (gain, length, -start, -target))
            if measured >= MAX_MEASURED:
                break
        if measured >= MAX_MEASURED:
            break
    gain, length, start, target = best
    return gain, with_move(text, -start, length, -target) if gain else text, measured


def with_move(text: str, start: int, length: int, target: int) -> str:
    """The text with the block moved before the position `target`, which may lie inside the block."""
    block = text[start : start + length]
    if target < start:
        return text[:target] + block + text[target:start] + text[start + length :]
    if target > start + length:
        return text[:start] + text[start + length : target] + block + text[target:]
    return text[:start] + text[start + length : length + target] + block + text[length + target :]


def aligned(text: str, goal: str, distance: int) -> Alignment:
    """An alignment with the fewest edits; of several the one that Tercom would choose."""
    # Tercom looks along the diagonal only. Within this bound every alignment with the fewest edits lies there.
    near = distance + abs(len(text) - len(goal)) < 2 * BEAM - 2
    steps = fewest_steps(text, goal) if near else steps_in_beam(text, goal)
    of_goal: list[int] = []
    text_errors: list[int] = []
    goal_errors: list[int] = []
    at = -1
    for step in steps:
        if step != "+":  # a word of the text
            at += 1
            text_errors.append(step != "=")
        if step != "-":  # a word of the goal
            of_goal.append(at)
            goal_errors.append(step != "=")
    return Alignment(of_goal, [0, *accumulate(text_errors)], [0, *accumulate(goal_errors)])


def fewest_steps(text: str, goal: str) -> str:
    """How the text becomes the goal with the fewest edits: a word kept "=", replaced "/", deleted "-" or inserted "+".
    Of several ways, seen from the end, keeping or replacing comes before deleting, and deleting before inserting.

    Row by row of the matrix of distances, whole numbers hold for each column (a bit for each word of the goal) whether
    the distance is the one up and left of it, one more than above, or one more than on its left.
    """
    every = (1 << len(goal)) - 1
    masks: dict[str, int] = {}
    for at, word in enumerate(goal):
        masks[word] = masks.get(word, 0) | 1 << at
    more_than_left, less_than_left = every, 0
    rows = []
    for word in text:
        same = masks.get(word, 0) | less_than_left
        diagonal = (((same & more_than_left) + more_than_left) ^ more_than_left | same) & every
        more_than_above = (less_than_left | ~(diagonal | more_than_left)) & every
        less_than_above = more_than_left & diagonal
        above, below = (more_than_above << 1 | 1) & every, less_than_above << 1 & every
        more_than_left, less_than_left = (below | ~(diagonal | above)) & every, above & diagonal
        rows.append((diagonal, more_than_above))
    steps = []
    at, goal_at = len(text), len(goal)
    while at and goal_at:
        diagonal, more_than_above = rows[at - 1]
        bit = 1 << (goal_at - 1)
        if text[at - 1] == goal[goal_at - 1]:
            step = "="
        elif not diagonal & bit:
            step = "/"
        else:
            step = "-" if more_than_above & bit else "+"
        at -= step != "+"
        goal_at -= step != "-"
        steps.append(step)
    return "-" * at + "+" * goal_at + "".join(reversed(steps))


def steps_in_beam(text: str, goal: str) -> str:
    """The same by sacrebleu's search, which takes milliseconds, for texts that are far apart."""
    # A tenth of a second to import, and not needed to serve pages.
    from sacrebleu.metrics.lib_ter import BeamEditDistance

    _distance, trace = BeamEditDistance(list(goal))(list(text))
    return str(trace).translate(str.maketrans(" sdi", "=/-+"))
