"""PromQL of the panels, for the servers that the dashboard's variables select."""

from typing import NamedTuple

SELECTED = 'job=~"$job",instance=~"$instance"'


class Query(NamedTuple):
    """A query of a panel.

    Attributes:
        expression: PromQL.
        legend: Name of its series; `{{label}}` stands for a label's value.
        limit: Whether its series is a limit, drawn as a dashed red line.
        exemplars: Whether to show exemplars: single calls whose trace is known.
    """

    expression: str
    legend: str
    limit: bool = False
    exemplars: bool = False


def series(name: str, matchers: str = "") -> str:
    """Returns a selector of the selected servers' series, such as `up{…}`; `matchers` are more matchers of labels."""
    return f"{name}{{{SELECTED}{',' if matchers else ''}{matchers}}}"


def recorded(name: str) -> str:
    """Returns a selector of a series that a rule has recorded for all servers of the job."""
    return f'{name}{{job=~"$job"}}'


def rate(counter: str, matchers: str = "", *, by: str = "") -> str:
    """Returns the rate of a counter per second: the sum over the servers, or one for each value of the labels `by`."""
    return f"{_sum(by)}(rate({series(counter, matchers)}[$__rate_interval]))"


def increase(counter: str, *, by: str = "") -> str:
    """Returns the increase of a counter over the time range of the dashboard."""
    return f"{_sum(by)}(increase({series(counter)}[$__range]))"


def share(counter: str, matchers: str) -> str:
    """Returns the share of the matching increments of a counter, from 0 to 1."""
    return f"{rate(counter, matchers)} / ({rate(counter)} > 0)"


def quantile(of: float, histogram: str, matchers: str = "", *, by: str = "") -> str:
    """Returns a quantile of a histogram's observations, such as 0.99."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({of:g}, {rate(f'{histogram}_bucket', matchers, by=labels)})"


def quantile_since_start(of: float, histogram: str) -> str:
    """Returns a quantile of all observations since the servers started, for work that is rare."""
    return f"histogram_quantile({of:g}, sum by (le) ({series(f'{histogram}_bucket')}))"


def quantiles(histogram: str, matchers: str = "", *, of: tuple[float, ...] = (0.5, 0.95, 0.99)) -> list[Query]:
    """Returns queries of several quantiles, with the legends p50, p95 and so on."""
    return [Query(quantile(each, histogram, matchers), f"p{each * 100:g}", exemplars=each == max(of)) for each in of]


def age(timestamp: str) -> str:
    """Returns the seconds since a metric's Unix time; no series while the time is 0, which means never."""
    return f"time() - ({series(timestamp)} > 0)"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
