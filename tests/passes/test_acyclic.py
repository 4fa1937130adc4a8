"""Groups of a DAG never form a cycle, whatever is merged."""

from __future__ import annotations

import random

import pytest

from graphc.passes.acyclic import Groups


def test_a_way_through_a_third_group_prevents_a_merge():
    groups = Groups()
    a = groups.add(())
    b = groups.add((a,))
    c = groups.add((b, a))
    assert not groups.mergeable(a, c)
    assert groups.mergeable(a, b)
    assert groups.mergeable(b, c)
    groups.merge(a, b)
    assert groups.mergeable(a, c)


def test_what_a_merge_adds_is_known_to_all_that_come_after():
    groups = Groups()
    a, x = groups.add(()), groups.add(())
    b = groups.add((a,))
    c = groups.add((b,))
    y = groups.add((x,))
    groups.merge(a, y)  # now b and c need x, too
    assert groups.depends(c, x)
    assert not groups.mergeable(c, x)


def reaches(edges: set[tuple[int, int]], start: int, end: int) -> bool:
    pending, seen = [start], set()
    while pending:
        at = pending.pop()
        if at == end:
            return True
        if at not in seen:
            seen.add(at)
            pending += [b for a, b in edges if a == at]
    return False


@pytest.mark.parametrize("seed", range(20))
def test_random_merges_agree_with_a_search(seed):
    rng = random.Random(seed)
    groups, members = Groups(), 24
    sources = [rng.sample(range(i), min(i, rng.randrange(3))) for i in range(members)]
    for s in sources:
        groups.add(s)
    for _ in range(60):
        a, b = rng.sample(range(members), 2)
        find = groups.find
        edges = {(find(s), find(i)) for i, row in enumerate(sources) for s in row if find(s) != find(i)}
        ga, gb = find(a), find(b)
        if ga == gb:
            continue
        assert groups.depends(ga, gb) == reaches(edges, gb, ga)
        around = edges - {(ga, gb), (gb, ga)}
        cycle = reaches(around, ga, gb) or reaches(around, gb, ga)
        assert groups.mergeable(ga, gb) == (not cycle)
        if not cycle:
            groups.merge(ga, gb)
