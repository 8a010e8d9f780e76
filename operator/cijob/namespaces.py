"""Labels of namespaces, for pools that choose by them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from cijob.errors import ApiNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cijob.cluster import Cluster

#: Seconds for which labels are believed: they seldom change, and a watch would need rights on all namespaces.
_FRESH: Final = 30.0


class NamespaceLabels:
    """Asks for a namespace's labels, once in a while."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def of(self, namespace: str, fits: Callable[[Mapping[str, str]], bool]) -> Mapping[str, str]:
        """The labels of a namespace; none if it is gone. Those that do not fit are not believed: they may be there now.

        Raises:
            ApiError: the API server does not say.
        """
        now = asyncio.get_running_loop().time()
        known = self._known.get(namespace)
        if known is not None and now - known[0] < _FRESH and fits(known[1]):
            return known[1]
        try:
            body = await self._cluster.get_namespace(namespace)
        except ApiNotFound:
            body = {}
        labels: Mapping[str, str] = (body.get("metadata") or {}).get("labels") or {}
        self._known[namespace] = (now, labels)
        return labels
