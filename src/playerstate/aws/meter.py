"""How functions tell figures: the metrics of `backends.aws.emf`, which CloudWatch reads from a log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from playerstate.backends.aws.emf import AwsMetric


class Meter(Protocol):
    """Takes figures, by metric and the values of its dimensions."""

    def count(self, metric: AwsMetric, n: int = 1, *dimensions: str) -> None:
        """Count `n` more."""
        ...

    def observe(self, metric: AwsMetric, values: Iterable[float], *dimensions: str) -> None:
        """Add values to a distribution."""
        ...

    def flush(self) -> None:
        """Tell what has been gathered."""
        ...
