"""What a YAML file holds, as plain dicts and lists that remember where each of their parts was written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cijob.importers.gitlab.model import Place


class Mapping(dict[str, Any]):
    """A dict that knows its lines.

    Values are Mapping, Sequence_, str, int, float, bool and None; before `references.resolve`, Reference as well.

    Attributes:
        place: where it begins.
        places: where each key stands. A key that was put in by hand may be missing: ask `place_of`.
    """

    __slots__ = ("place", "places")

    def __init__(
        self, place: Place, items: dict[str, Any] | None = None, places: dict[str, Place] | None = None
    ) -> None:
        super().__init__(items or {})
        self.place = place
        self.places: dict[str, Place] = dict(places or {})

    def put(self, key: str, value: Any, place: Place) -> None:  # noqa: ANN401 - a value of YAML
        """Sets a key and where it stands."""
        self[key] = value
        self.places[key] = place

    def copy(self) -> Mapping:
        """A Mapping of its own with the same values in it."""
        return Mapping(self.place, self, self.places)

    def without(self, *keys: str) -> Mapping:
        """A Mapping of its own that lacks some keys."""
        return Mapping(self.place, {key: value for key, value in self.items() if key not in keys}, self.places)


class Sequence_(list[Any]):  # noqa: N801 - Sequence is taken by collections.abc
    """A list that knows its lines.

    Attributes:
        place: where it begins.
        places: where each item stands.
    """

    __slots__ = ("place", "places")

    def __init__(self, place: Place, items: Iterable[Any] = (), places: Iterable[Place] = ()) -> None:
        super().__init__(items)
        self.place = place
        self.places: list[Place] = list(places)


Node = Mapping
"""The configuration of a job or of another part of the file."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`!reference [job, key, ...]` before it is resolved."""

    path: tuple[str, ...]
    place: Place

    def __str__(self) -> str:
        return f"[{', '.join(self.path)}]"


def place_of(node: Mapping | Sequence_, key: str | int | None = None) -> Place:
    """Where a key of a mapping or an item of a sequence stands; the node's own place where that is not known."""
    match node, key:
        case Mapping(), str():
            return node.places.get(key, node.place)
        case Sequence_(), int() if -len(node.places) <= key < len(node.places):
            return node.places[key]
        case _:
            return node.place


def deep_merge(base: Mapping, over: Mapping) -> Mapping:
    """A Mapping with the keys of both: mappings are merged at every depth, of anything else that of `over` counts.

    As ActiveSupport's Hash#deep_merge, with which GitLab merges includes and `extends`: lists replace each other, null counts.
    """
    merged = Mapping(over.place, base, base.places)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = deep_merge(below, value)  # noqa: PLW2901 - the same key's value
        merged.put(key, value, place_of(over, key))
    return merged


def flatten(items: Sequence_) -> Sequence_:
    """A list without the lists in it; their items keep their lines."""
    flat = Sequence_(items.place)
    for index, item in enumerate(items):
        inner = (
            flatten(item) if isinstance(item, Sequence_) else Sequence_(items.place, [item], [place_of(items, index)])
        )
        flat.extend(inner)
        flat.places.extend(inner.places)
    return flat
