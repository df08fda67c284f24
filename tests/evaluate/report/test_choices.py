"""What the card says of how a model came to be."""

from dataclasses import replace

import pytest

from medspark.evaluate.report.choices import history
from medspark.evaluate.report.facts import network_in_words

LET_THROUGH = (
    "It takes the place of the bundle abc. Updates that the test split's patients let through until now, this one "
    "among them: 3. Its figures are of such patients, and so they flatter it."
)


@pytest.mark.parametrize(
    ("parent", "update", "says"),
    [
        (None, {}, "First of its line: it takes no other bundle's place."),
        ("abc", {"refused": []}, "It takes the place of the bundle abc."),  # of before this was counted
        ("abc", {"refused": [], "let_through": 3}, LET_THROUGH),
    ],
)
def test_an_update_says_how_many_the_patients_let_through_of_whom_its_figures_are(report_data, parent, update, says):
    metrics = {**report_data.metrics, "update": update}
    assert history(replace(report_data, parent=parent, metrics=metrics)) == says


@pytest.mark.parametrize("metrics", [{}, {"taught": "boosting"}])
def test_whether_boosting_taught_the_network_is_told(report_data, metrics):
    told = network_in_words(replace(report_data, metrics={**report_data.metrics, **metrics}))
    assert ("with what gradient boosting says of the same patients" in told) is bool(metrics)
