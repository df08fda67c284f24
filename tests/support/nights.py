"""Made-up cases with statistics and a reference, and nights of them: what the tests of monitoring compare. No Spark."""

import numpy as np
import pyarrow as pa

from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.encode.worker.encoder import encode
from medspark.monitor.reference import fit_reference, plan_of
from medspark.monitor.worker.tally import tally_of

SITES, SEXES, CODES = ("north", "south", "west"), ("F", "M"), tuple(f"D{at}" for at in range(12))
MISSING = 0.1
"""Share of the cases without a creatinine."""


def cases(n, seed=0, **changes):
    """Columns of n made-up cases, (n,) each; `changes` take the place of columns."""
    rng = np.random.default_rng(seed)
    creatinine = rng.lognormal(np.log(1.0), 0.3, n)
    creatinine[rng.random(n) < MISSING] = np.nan
    columns = {
        "age": rng.normal(60, 15, n).round(),
        "creatinine": creatinine,
        "temperature": rng.normal(37.0, 0.6, n),
        "visits": rng.poisson(0.6, n).astype(float),
        "sex": rng.choice(SEXES, n).astype(object),
        "site": rng.choice(SITES, n, p=[0.5, 0.3, 0.2]).astype(object),
        "first": rng.choice(CODES, n).astype(object),
        "second": np.where(rng.random(n) < 0.5, None, rng.choice(CODES, n).astype(object)),
    }
    return columns | changes


def risk_of(columns):
    """A risk of each case, (n,), calibrated by definition."""
    age = (columns["age"] - 60) / 15
    return 1 / (1 + np.exp(-(0.9 * age - 1.5 + 0.8 * (columns["first"] == "D1"))))


def batch_of(columns):
    def column(values):
        if np.asarray(values).dtype == object:
            return pa.array(list(values), pa.string())
        return pa.array(values, mask=np.isnan(values))

    return pa.RecordBatch.from_pydict({name: column(values) for name, values in columns.items()})


def _number(name, values, indicator=False):
    there = values[np.isfinite(values)]
    spread = (np.quantile(there, 0.8) - np.quantile(there, 0.2)) / 1.683
    return NumericStatistics(
        column=name,
        scaling="smooth",
        center=float(np.median(there)),
        scale=float(spread) or 1.0,
        knots=tuple(np.quantile(there, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1])),
        impute=float(np.median(there)),
        missing_indicator=indicator,
        mean=float(there.mean()),
        sd=float(there.std()),
        missing_share=float(np.isnan(values).mean()),
    )


def _levels(name, values, levels):
    counts = tuple(int((values == level).sum()) for level in levels)
    return CategoricalStatistics(column=name, levels=levels, counts=counts, rare=0, missing_share=0.0)


def statistics_of(columns):
    """As training would fit them."""
    either = [(columns["first"] == code) | (columns["second"] == code) for code in CODES]
    return Statistics(
        cases=len(columns["age"]),
        numeric=(
            _number("age", columns["age"]),
            _number("creatinine", columns["creatinine"], indicator=True),
            _number("temperature", columns["temperature"]),
            _number("visits", columns["visits"]),
        ),
        categorical=(_levels("sex", columns["sex"], SEXES), _levels("site", columns["site"], SITES)),
        codes=(
            CodesStatistics(
                name="diagnoses",
                columns=("first", "second"),
                codes=CODES,
                counts=tuple(int(found.sum()) for found in either),
                rare=0,
                missing_share=0.0,
            ),
        ),
    )


def tally(plan, statistics, columns):
    """What a scoring worker counts of cases."""
    return tally_of(plan, encode(batch_of(columns), statistics), risk_of(columns), {})


def trained(n=8000, seed=1, test=2000, subgroups=("sex", "site"), columns=None):
    """The statistics of made-up cases, and the reference that the bundle would have; some columns may be others."""
    train, held_out = cases(n, seed, **(columns or {})), cases(test, seed + 1)
    statistics = statistics_of(train)
    plan = plan_of(statistics, encode(batch_of(train), statistics), subgroups)
    return statistics, fit_reference(plan, tally(plan, statistics, train), tally(plan, statistics, held_out))
