"""What the operator has observed. It never goes backwards.

Objects arrive from watches, from lists and from the answers of our own writes, in any order: an older resourceVersion
never replaces a newer one (they are comparable numbers: KEP-5504, Kubernetes 1.35), and what was removed does not come
back with an event from before its removal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Key = tuple[str, str]
"""Namespace and name."""

T = TypeVar("T")


@dataclass(slots=True)
class Store(Generic[T]):
    """Objects of one kind by namespace and name.

    `identity` gives an object's key, UID and version.
    """

    identity: Callable[[T], tuple[Key, str, int]]
    #: Called with each object that is news, and with each that is gone.
    seen: Callable[[T], None] = lambda _item: None
    gone: Callable[[T], None] = lambda _item: None
    _objects: dict[Key, T] = field(default_factory=dict)
    #: The last that was seen of removed objects, with the version of the removal, until `forget`.
    _removed: dict[Key, tuple[T, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._objects)

    def get(self, key: Key) -> T | None:
        """The object that is there, as far as is known."""
        return self._objects.get(key)

    def removed(self, key: Key) -> T | None:
        """The last that was seen of an object that is known to be gone."""
        entry = self._removed.get(key)
        return entry[0] if entry is not None and key not in self._objects else None

    def observe(self, item: T) -> bool:
        """Take in an object as it is at its version; False if that is no news."""
        key, uid, version = self.identity(item)
        if version <= self._version(key, uid):
            return False
        self._objects[key] = item
        self.seen(item)
        return True

    def remove(self, item: T) -> bool:
        """Take in the end of an object, given as it was last; False if it is another's or old news."""
        key, uid, version = self.identity(item)
        present = self._objects.get(key)
        if present is not None:
            _, present_uid, present_version = self.identity(present)
            if present_uid != uid and present_version > version:
                return False
            if present_uid == uid and present_version > version:
                item, version = present, present_version
            del self._objects[key]
        elif key in self._removed and self._removed[key][1] > version:
            return False
        self._removed[key] = (item, version)
        self.gone(item)
        return True

    def forget(self, key: Key) -> None:
        """Drop the memory of a removed object."""
        self._removed.pop(key, None)

    def forget_before(self, version: int) -> None:
        """Drop the memory of what was removed by a version: no list or watch from there on speaks of it."""
        self._removed = {key: entry for key, entry in self._removed.items() if entry[1] > version}

    def replace(self, items: Iterable[T], version: int) -> tuple[set[Key], list[T]]:
        """Take in a consistent list of everything at a version.

        Returns the keys with news, and the objects that the list lacks although they are no younger than it: whether
        they are really gone is for the caller to confirm.
        """
        news, listed = set(), set()
        for item in items:
            key = self.identity(item)[0]
            listed.add(key)
            if self.observe(item):
                news.add(key)
        missing = [
            item for key, item in self._objects.items() if key not in listed and self.identity(item)[2] <= version
        ]
        return news, missing

    def _version(self, key: Key, uid: str) -> int:
        """The newest version known under a key: an event of this or an earlier version is old news."""
        present, removed = self._objects.get(key), self._removed.get(key)
        newest = self.identity(present)[2] if present is not None else 0
        if removed is not None:
            removed_uid = self.identity(removed[0])[1]
            # Its removal ends a UID for good, whatever versions its late events carry.
            newest = max(newest, removed[1]) if removed_uid != uid else max(newest, removed[1], _NEVER_AGAIN)
        return newest


_NEVER_AGAIN = 1 << 63
