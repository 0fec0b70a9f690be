"""Which training rows are computed both ways before a training (see `packed_setup.mismatch`)."""

from collections.abc import Sequence

from training.contract.config import TrainingConfig
from training.engine.data.tokenization import Sequences
from training.engine.packed.trie import Row, make_row
from training.engine.trainers.row_checks import effective_batch

LEAST, MOST = 2, 64
# The comparison computes each of its rows three times. It may cost a training about as much as a tenth of its rows.
SHARE = 16


def rows_to_check(config: TrainingConfig, sequences: Sequence[Sequences]) -> list[Row]:
    """Rows from the shortest to the longest, in even distances; fewer where the training itself is short.

    Only these are laid out: a large dataset is not, before the first step.
    """
    sizes = [len(item.prompt_ids) + sum(map(len, item.completion_ids)) for item in sequences]
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    visited = len(order) * config.epochs
    if config.max_steps > 0:
        visited = min(visited, config.max_steps * effective_batch(config) * config.processes)
    count = min(len(order), MOST, max(LEAST, int(visited) // SHARE))
    last = len(order) - 1
    places = {round(number * last / max(1, count - 1)) for number in range(count)} if count > 1 else {last}
    chosen = [sequences[order[place]] for place in sorted(places)]
    return [make_row(item.number - 1, item.prompt_ids, item.completion_ids) for item in chosen]
