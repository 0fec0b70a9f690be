"""How long answers took, against answers that were as difficult. Pure.

An answer is compared with what others needed for the same task; where nobody else answered it, with what others need
for tasks of the same kind with about as many characters (a band: up to twice as many). All in active seconds.
"""

import numpy as np

from annotation.analyses.columns import Answers
from annotation.analyses.intervals import FEWEST, Estimate, Z, ratio_of_means

FAST = 0.25  # of the typical time
BANDS = 64
FEWEST_OF_PERSON = 3  # answers that a person needs in a band to count in it


def strata(answers: Answers) -> np.ndarray:
    """The kind and band of each answer as one number (n,)."""
    band = np.floor(np.log2(np.maximum(answers.chars, 1))).astype(np.int64)
    return np.asarray(answers.kind.astype(np.int64) * BANDS + band)


def others_median(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """For each positive value the median of the others of its group (n,); NaN where it is alone.

    Of an even number the geometric mean of the middle two: one who is slow weighs less on the other two of three."""
    result = np.full(len(values), np.nan)
    if not len(values):
        return result
    order = np.lexsort((values, groups))
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    sizes = np.diff(np.r_[starts, len(values)])
    start, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    rank = np.arange(len(values)) - start
    low, high = (size - 2) // 2, (size - 1) // 2  # the middle places among size − 1 others
    several = size > 1

    def at(place: np.ndarray) -> np.ndarray:
        """The value at that place of the others: from the own rank on, one further."""
        return ordered[np.where(several, start + place + (place >= rank), 0)]

    result[order] = np.where(several, np.sqrt(at(low) * at(high)), np.nan)
    return result


def group_medians(values: np.ndarray, *keys: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """(keys, medians, sizes) of the groups of values that share all keys, in order of the keys."""
    order = np.lexsort((values, *keys[::-1]))
    ordered, sorted_keys = values[order], [key[order] for key in keys]
    if not len(values):
        return sorted_keys, ordered, np.zeros(0, dtype=np.int64)
    new = np.zeros(len(values), dtype=bool)
    new[0] = True
    for key in sorted_keys:
        new[1:] |= np.diff(key) != 0
    starts = np.flatnonzero(new)
    sizes = np.diff(np.r_[starts, len(values)])
    medians = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
    return [key[starts] for key in sorted_keys], medians, sizes


def typical_by_person(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(stratum, person, median seconds) of each person with enough answers in a stratum. Timed answers only."""
    (stratum, person), medians, sizes = group_medians(answers.seconds, strata(answers), answers.person)
    enough = sizes >= FEWEST_OF_PERSON
    return stratum[enough], person[enough], medians[enough]


def timed(answers: Answers) -> np.ndarray:
    return answers.seconds > 0


def typical_seconds(answers: Answers) -> np.ndarray:
    """For each answer the typical time of its kind and band (n,): the median of the people's medians, so that nobody
    counts more for having answered more. NaN where the band has fewer than `FEWEST` answers. Timed answers only."""
    result = np.full(len(answers.seconds), np.nan)
    stratum = strata(answers)
    s, _, medians = typical_by_person(answers)
    values, counts = np.unique(stratum, return_counts=True)
    for value in values[counts >= FEWEST]:
        own = medians[s == value]
        if len(own):
            result[stratum == value] = np.median(own)
    return result


def matched_seconds(answers: Answers, usable: np.ndarray) -> np.ndarray:
    """For each answer what others needed for the same task, or else for such tasks (n,); NaN where there are no others.

    Only `usable` (n,) answers are a measure: very fast ones are none, or whoever works among careless people would seem
    slow. Timed answers only."""
    result = np.full(len(answers.seconds), np.nan)
    result[usable] = others_median(answers.seconds[usable], answers.task[usable])
    (tasks,), medians, _ = group_medians(answers.seconds[usable], answers.task[usable])
    if len(tasks):
        place = np.minimum(np.searchsorted(tasks, answers.task), len(tasks) - 1)
        use = ~usable & (tasks[place] == answers.task)
        result[use] = medians[place[use]]
    s, p, medians = typical_by_person(answers.where(usable))
    others = {(int(a), int(b)): value for a, b, value in zip(s, p, others_median(medians, s), strict=True)}
    all_of = {int(value): float(np.median(medians[s == value])) for value in np.unique(s)}
    stratum = strata(answers)
    for at in np.flatnonzero(np.isnan(result)):
        key = int(stratum[at]), int(answers.person[at])
        # Who has too few answers in the band is not part of its median.
        result[at] = others.get(key, all_of.get(key[0], np.nan))
    return result


def drift(ratios: np.ndarray, at: np.ndarray, *, z: float = Z) -> Estimate | None:
    """By what factor the later half of a person's answers took longer than the earlier half, both against the matched
    time; below 1 they became faster. None below `FEWEST` answers in a half."""
    ordered = ratios[np.argsort(at, kind="stable")]
    half = len(ordered) // 2
    return ratio_of_means(ordered[:half], ordered[half:], z=z)
