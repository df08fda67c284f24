"""Metrics of a run as Prometheus' node exporter picks them up: one text file, replaced by one rename. No Spark here.

https://prometheus.io/docs/instrumenting/exposition_formats
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Gauge(NamedTuple):
    """A metric, with a value for each set of labels."""

    name: str
    help: str
    values: Iterable[tuple[Mapping[str, str], float]]


def exposition(gauges: Iterable[Gauge]) -> str:
    r"""The metrics as text; one without a value is left out.

    >>> print(exposition([Gauge("rows", "Rows.", [({"deployment": 'a"b'}, 3.0)])]), end="")
    # HELP rows Rows.
    # TYPE rows gauge
    rows{deployment="a\"b"} 3.0
    """
    lines: list[str] = []
    for gauge in gauges:
        samples = [f"{gauge.name}{{{_labels(labels)}}} {float(value)!r}" for labels, value in gauge.values]
        if samples:
            lines += [f"# HELP {gauge.name} {gauge.help}", f"# TYPE {gauge.name} gauge", *samples]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
