"""The order of sides is steady, and hides which text is which."""

from hypothesis import given
from hypothesis import strategies as st

from annotation.kinds.side_order import presented_order


@given(seed=st.integers(0, 2**31 - 1), task=st.integers(1, 2**40), ids=st.lists(st.integers(1, 2**40), unique=True))
def test_the_order_is_steady_and_complete(seed, task, ids):
    order = presented_order(seed=seed, task_id=task, candidate_ids=ids)
    assert sorted(order) == sorted(ids)
    assert order == presented_order(seed=seed, task_id=task, candidate_ids=list(reversed(ids)))


@given(seed=st.integers(0, 2**31 - 1), start=st.integers(1, 10**9))
def test_each_origin_is_first_half_the_time(seed, start):
    """Ids come in file order, formal then informal: the order shown must not tell."""
    tasks = 2000
    first = sum(
        presented_order(seed=seed, task_id=start + n, candidate_ids=[2 * n, 2 * n + 1])[0] == 2 * n
        for n in range(tasks)
    )
    assert abs(first / tasks - 0.5) < 0.07, "six standard deviations"
