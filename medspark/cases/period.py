"""When the cases are of."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from medspark.schemas import PREDICTION_TIME


def months_of(cases: DataFrame) -> tuple[str, str] | None:
    """The first and the last month of the prediction times, as 2019-03; None where there is none. A month is no date of
    a patient's."""
    ends = (F.date_format(end(PREDICTION_TIME), "yyyy-MM") for end in (F.min, F.max))
    first, last = cases.agg(*ends).collect()[0]
    return None if first is None else (first, last)
