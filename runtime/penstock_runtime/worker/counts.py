"""What child processes counted, added to what their parent counts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import prometheus_client
from prometheus_client import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_PREFIX: Final = "penstock_"
_ADDED: Final = ("counter", "histogram")  # a gauge is the parent's own to set
_BEGAN: Final = "_created"  # when a count began is no count

Key = tuple[str, tuple[tuple[str, str], ...]]
Samples = Mapping[Key, float]


class Counts(Collector):
    """The metrics of this process and its children, as one process would show them."""

    def __init__(self, own: Collector = prometheus_client.REGISTRY) -> None:
        self._own = own
        self._living: dict[str, Samples] = {}
        self._ended: dict[Key, float] = {}

    def of(self, child: str, samples: Samples) -> None:
        """Take what a child has counted since its start."""
        self._living[child] = samples

    def ended(self, child: str) -> None:
        """Keep the last counts of a child that has ended."""
        for key, value in self._living.pop(child, {}).items():
            self._ended[key] = self._ended.get(key, 0.0) + value

    def collect(self) -> Iterator[Metric]:
        """All metrics, children's counts added."""
        added = dict(self._ended)
        for samples in self._living.values():
            for key, value in samples.items():
                added[key] = added.get(key, 0.0) + value
        for family in self._own.collect():
            if _is_added(family):
                family.samples = list(_sum(family, added))
            yield family


def counted(registry: Collector = prometheus_client.REGISTRY) -> list[Any]:
    """All that this process has counted, for JSON; what is still 0 is left out."""
    return [
        [sample.name, sample.labels, sample.value]
        for family in registry.collect()
        if _is_added(family)
        for sample in family.samples
        if sample.value and not sample.name.endswith(_BEGAN)
    ]


def read_samples(said: Iterable[Any]) -> Samples:
    """What ``counted`` said in another process."""
    return {_key(name, labels): float(value) for name, labels, value in said}


def _is_added(family: Metric) -> bool:
    return family.name.startswith(_PREFIX) and family.type in _ADDED


def _sum(family: Metric, added: Mapping[Key, float]) -> Iterator[Sample]:
    own = set()
    for sample in family.samples:
        key = _key(sample.name, sample.labels)
        own.add(key)
        yield sample._replace(value=sample.value + added.get(key, 0.0))
    for key, value in added.items():
        name, labels = key
        if key not in own and _family_of(name) == family.name:
            yield Sample(name, dict(labels), value)


def _family_of(name: str) -> str:
    for ending in ("_total", "_bucket", "_count", "_sum"):
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def _key(name: str, labels: Mapping[str, str]) -> Key:
    return name, tuple(sorted(labels.items()))
