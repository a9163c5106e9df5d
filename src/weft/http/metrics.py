"""What was answered, how often and how fast, by operation.

A request costs one list increment and one bisection; Prometheus' own types would cost ten times that. The numbers
are made into its families only when somebody asks (`collect`), so that a `Metrics` can be registered as a collector.
One event loop writes; nothing here is for threads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

#: Upper bounds in seconds. Long polls end in the last two.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class Observed:
    """The answers of one operation."""

    __slots__ = ("buckets", "operation_id", "seconds", "statuses")

    def __init__(self, operation_id: str) -> None:
        self.operation_id = operation_id
        #: How many took at most each of `BOUNDS`, not cumulative; the last: longer.
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.statuses: dict[int, int] = {}

    def add(self, status: int, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.statuses[status] = self.statuses.get(status, 0) + 1


class Metrics(Collector):
    """All operations of one process, over all its listeners."""

    def __init__(self) -> None:
        self._operations: dict[str, Observed] = {}
        #: Requests that have not been answered yet.
        self.in_flight = 0

    def operation(self, operation_id: str) -> Observed:
        """The counters of an operation; the same object for the same id."""
        return self._operations.setdefault(operation_id, Observed(operation_id))

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        counter = CounterMetricFamily("weft_http_requests", "Answers sent.", labels=["operation", "status"])
        histogram = HistogramMetricFamily("weft_http_request_seconds", "Time to answer.", labels=["operation"])
        for observed in self._operations.values():
            for status, count in observed.statuses.items():
                counter.add_metric([observed.operation_id, str(status)], count)
            if observed.statuses:
                histogram.add_metric([observed.operation_id], _cumulative(observed), observed.seconds)
        yield counter
        yield histogram
        yield GaugeMetricFamily("weft_http_requests_in_flight", "Requests not answered yet.", value=self.in_flight)


def _cumulative(observed: Observed) -> list[tuple[str, float]]:
    return list(zip([*map(str, BOUNDS), "+Inf"], accumulate(observed.buckets), strict=True))
