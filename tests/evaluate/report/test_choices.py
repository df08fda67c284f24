"""What the card says of how a model came to be."""

from dataclasses import replace

import pytest

from medspark.evaluate.report.choices import history

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
