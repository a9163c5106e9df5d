"""What operators see: log lines on standard error, and numbers for Prometheus."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from weft.http.call import Call, Route, route
from weft.http.metrics import Metrics
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Raw
from weft.settings import Logging
from weft.storage.cache import Budget

METRICS = Endpoint(
    operation_id="metrics", method="GET", paths=("/metrics",), request=Empty, response=Raw, auth=Auth.NONE
)


def configure_logging(settings: Logging) -> None:
    """Everything that is logged goes to standard error, in the chosen form."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    as_json = settings.format == "json"
    # Traces without the values of variables: those may be secrets, and what people wrote.
    plain = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer = structlog.processors.JSONRenderer() if as_json else plain
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if as_json else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries' own warnings come the same way.
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )


class _Caches(Collector):
    """What each cache holds of the memory budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def collect(self) -> Iterator[GaugeMetricFamily]:
        held = GaugeMetricFamily("weft_cache_bytes", "Estimated bytes held, by cache.", labels=["cache"])
        limits = GaugeMetricFamily("weft_cache_limit_bytes", "Bytes a cache may hold.", labels=["cache"])
        for cache in self._budget.caches:
            held.add_metric([cache.name], cache.bytes)
            limits.add_metric([cache.name], cache.limit)
        yield held
        yield limits


def metrics_route(metrics: Metrics, budget: Budget, others: Iterable[Collector]) -> Route[Empty, Raw]:
    """`GET /metrics`, for a listener that serves it."""
    registry = CollectorRegistry()
    registry.register(metrics)
    registry.register(_Caches(budget))
    for other in others:
        registry.register(other)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)

    async def answer(_: Call[Empty]) -> Raw:
        return Raw(body=generate_latest(registry), content_type="text/plain; version=0.0.4; charset=utf-8")

    return route(METRICS, answer)
