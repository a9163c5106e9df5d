"""Numbers about media, for Prometheus. One event loop writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class MediaMetrics(Collector):
    def __init__(self) -> None:
        self.uploads = 0
        self.uploaded_bytes = 0
        self.evicted = 0
        #: By what came of it.
        self.fetches: Counter[str] = Counter()
        self.thumbnails: Counter[str] = Counter()

    def uploaded(self, size: int) -> None:
        """Somebody uploaded so many bytes."""
        self.uploads += 1
        self.uploaded_bytes += size

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, text, value in (
            ("weft_media_uploads", "Files uploaded here.", self.uploads),
            ("weft_media_uploaded_bytes", "Bytes uploaded here.", self.uploaded_bytes),
            ("weft_media_evicted", "Copies of other servers' files that made room for others.", self.evicted),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield _by_outcome("weft_media_fetches", "Files fetched from other servers.", self.fetches)
        yield _by_outcome("weft_media_thumbnails", "Thumbnails made.", self.thumbnails)


def _by_outcome(name: str, text: str, counted: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["outcome"])
    for outcome, count in counted.items():
        family.add_metric([outcome], count)
    return family
