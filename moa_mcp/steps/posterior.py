"""The probability that the value with the most votes so far is the most frequent one of all answers. Pure.

As in Huang, Ma and Zhou 2026 (arXiv 2602.05395), three groups are counted: the leader with n1 votes, the second with
n2, and all others together with n3 (L = 3). Their prior is learned from earlier answers of a model. Here it is
Dirichlet(1, 1, 1), as nothing is known about the question. So the shares of the groups have the posterior
Dirichlet(n1 + 1, n2 + 1, n3 + 1), and the probability is

    P(p1 > p2 and p1 > p3) = 1 - sum(i < b) C(a+i-1, i) / 2^(a+i) - sum(j < c) C(a+j-1, j) / 2^(a+j)
                               + sum(i < b, j < c) (a+i+j-1)! / ((a-1)! i! j!) / 3^(a+i+j)

with a = n1 + 1, b = n2 + 1 and c = n3 + 1: the shares are those of independent gamma variables, X > Y has the
probability E[F_Y(X)], and F is a finite sum for whole numbers. The others count as if they were one value, so the
probability is rather too low than too high. It assumes that the answers are independent, which those of one model are
given the question; models that share their mistakes are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from math import comb
from typing import NamedTuple


class Groups(NamedTuple):
    """The votes for the leader, for the second value, and for all others."""

    first: int
    second: int
    others: int


def groups(values: Iterable[str | None]) -> Groups:
    """Return the votes of the three groups. None counts as an abstention."""
    counts = [count for _, count in Counter(value for value in values if value is not None).most_common()]
    first, second, *others = [*counts, 0, 0]
    return Groups(first, second, sum(others))


@lru_cache(maxsize=1024)
def probability(counted: Groups) -> float:
    """Return the probability that the leader is the most frequent value."""
    a, b, c = (votes + 1 for votes in counted)
    below: float = sum(comb(a + i - 1, i) / 2 ** (a + i) for size in (b, c) for i in range(size))
    pairs = ((i, j) for i in range(b) for j in range(c))
    both: float = sum(comb(a + i + j - 1, i + j) * comb(i + j, i) / 3 ** (a + i + j) for i, j in pairs)
    return 1 - below + both
