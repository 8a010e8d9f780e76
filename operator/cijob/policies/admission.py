"""Who starts next in one pool: fair between namespaces, then by priority, then by age; never more than its capacity.

| | order |
| --- | --- |
| 1 | the namespace with the fewest running in this pool |
| 2 | of those, the one whose next job has the higher priority |
| 3 | of those, the one whose next job is older |

Within a namespace: priority, then age. A namespace at its own limit stands aside until one of its jobs ends, and one whose
Pods its quota refuses does for a while.

Each call costs O(log n): what changes gets a new entry in a heap, and the old one is dropped as it comes to the top. The
usage-based order is that of fair sharing in kueue (sigs.k8s.io/kueue: Fair Sharing), with jobs as the only resource.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

Key = tuple[str, str]
"""Namespace and name: of a CiJob, or of its Pod."""

Rank = tuple[int, float, Key]
"""Less comes first: the negative priority, when the CiJob was created (Unix time in seconds), its key."""

#: Heaps are cleared of old entries once these are more than the others.
_SLACK: Final = 64


@dataclass(slots=True)
class Admission:
    """The jobs of one pool that wait, and the Pods that count as running: those there are, and those reserved.

    Nothing here waits or fails: whoever is given a turn has it reserved before anything else can happen.
    """

    #: The most that run at once, in all and in one namespace; None for no limit.
    running: int | None = None
    per_namespace: int | None = None
    #: Whether nobody may start.
    held: bool = False
    _ranks: dict[Key, Rank] = field(default_factory=dict)
    _lines: dict[str, list[Rank]] = field(default_factory=dict)
    _turns: list[tuple[int, Rank]] = field(default_factory=list)
    #: The entry of each namespace in `_turns` that holds, if it has one.
    _offered: dict[str, tuple[int, Rank]] = field(default_factory=dict)
    _pods: dict[Key, str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _aside: set[str] = field(default_factory=set)

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return len(self._ranks)

    @property
    def occupied(self) -> int:
        """How many Pods run or are reserved."""
        return len(self._pods)

    @property
    def oldest(self) -> float | None:
        """When the oldest job that waits was created (Unix time in seconds). Costs O(n)."""
        return min((rank[1] for rank in self._ranks.values()), default=None)

    @property
    def unlimited(self) -> bool:
        """Whether nobody ever has to wait."""
        return self.running is None and self.per_namespace is None and not self.held

    def count(self, namespace: str) -> int:
        """How many of a namespace run or are reserved."""
        return self._counts[namespace]

    def waits(self, job: Key) -> bool:
        """Whether a job waits."""
        return job in self._ranks

    def full(self) -> bool:
        """Whether the pool has no room, whoever asks."""
        return self.running is not None and len(self._pods) >= self.running

    def full_for(self, namespace: str) -> bool:
        """Whether a namespace is at its own limit."""
        return self.per_namespace is not None and self._counts[namespace] >= self.per_namespace

    def aside(self, namespace: str) -> bool:
        """Whether a namespace stands aside."""
        return namespace in self._aside

    def step_aside(self, namespace: str, *, aside: bool) -> None:
        """Let the others pass a namespace whose Pods the cluster refuses anyway, or have it back in its place."""
        (self._aside.add if aside else self._aside.discard)(namespace)
        self._offer(namespace)

    def limit(self, running: int | None, per_namespace: int | None, *, held: bool) -> None:
        """Set the limits. Lower ones end nothing: they hold for who comes next."""
        self.running, self.per_namespace, self.held = running, per_namespace, held
        for namespace in list(self._lines):
            self._offer(namespace)

    def wait(self, job: Key, priority: int, created: datetime) -> None:
        """A job wants to start; again with another priority if that changed."""
        rank = (-priority, created.timestamp(), job)
        if self._ranks.get(job) == rank:
            return
        self._ranks[job] = rank
        line = self._lines.setdefault(job[0], [])
        heapq.heappush(line, rank)
        if len(line) > 2 * len(self._ranks) + _SLACK:  # priorities that change again and again
            line[:] = [one for one in line if self._ranks.get(one[2]) == one]
            heapq.heapify(line)
        self._offer(job[0])

    def leave(self, job: Key) -> None:
        """A job does not want to start any more, or not yet."""
        if self._ranks.pop(job, None) is not None:
            self._offer(job[0])

    def admit(self) -> Key | None:
        """The job whose turn it is, if there is room; it waits no longer. Its Pod has to be reserved at once."""
        if self.held or self.full():
            return None
        while self._turns:
            turn = heapq.heappop(self._turns)
            job = turn[1][2]
            if self._offered.get(job[0]) == turn:
                del self._offered[job[0]]
                del self._ranks[job]
                self._offer(job[0])
                return job
        return None

    def occupy(self, pod: Key) -> None:
        """A Pod of this pool runs, or is about to be created."""
        if pod not in self._pods:
            self._pods[pod] = pod[0]
            self._counts[pod[0]] += 1
            self._offer(pod[0])

    def release(self, pod: Key) -> bool:
        """A Pod has ended, or will not be created; whether it counted until now."""
        if self._pods.pop(pod, None) is None:
            return False
        self._counts[pod[0]] -= 1
        if not self._counts[pod[0]]:
            del self._counts[pod[0]]
        self._offer(pod[0])
        return True

    def _offer(self, namespace: str) -> None:
        """Have the namespace in the order of turns as it is now, or not at all."""
        line = self._lines.get(namespace)
        if line is None:
            return
        while line and self._ranks.get(line[0][2]) != line[0]:
            heapq.heappop(line)
        if not line:
            del self._lines[namespace]
        free = line and namespace not in self._aside and not self.full_for(namespace)
        turn = (self._counts[namespace], line[0]) if free else None
        if turn == self._offered.get(namespace):
            return
        if turn is None:
            del self._offered[namespace]
            return
        self._offered[namespace] = turn
        heapq.heappush(self._turns, turn)
        if len(self._turns) > 2 * len(self._offered) + _SLACK:
            self._turns = [*self._offered.values()]
            heapq.heapify(self._turns)
