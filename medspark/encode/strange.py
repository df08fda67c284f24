"""What is strange about features in the training split. No Spark here."""

from medspark.encode.statistics import Statistics


def remarks_of(statistics: Statistics) -> dict[str, str]:
    """By the feature's title what a reader should know of it: left out, nearly constant, values far away."""
    return {feature.title: feature.remark for feature in statistics.features() if feature.remark is not None}
