"""Which challengers are refused: those that are worse on the same patients, beyond the margin and beyond chance."""

import numpy as np
import pandas as pd
import pytest

from medspark.evaluate.challenge import challenged, refusals
from medspark.evaluate.subgroups import Cases, Drawing
from medspark.task.updating import Updating

COUNT = 2000
RNG = np.random.default_rng(0)
RISK = RNG.uniform(0.05, 0.95, COUNT)
LABEL = RNG.random(COUNT) < RISK
SITE = pd.Series(np.where(np.arange(COUNT) % 4 == 0, "north", "south"))
"""A calibrated champion, the outcomes, and a hospital of each case."""


def compared(challenger, champion=RISK, label=LABEL, site=SITE):
    cases = Cases(label, champion, np.arange(len(label)) // 2, np.ones(len(label)))
    return challenged(cases, challenger, {"site": site}, Drawing(100, 0))


def test_against_itself_no_figure_is_worse():
    rows = compared(RISK)
    assert [(row["column"], row["level"], row["cases"]) for row in rows] == [
        ("everybody", "everybody", 2000),
        ("site", "north", 500),
        ("site", "south", 1500),
    ]
    for row in rows:
        assert all(gap == {"value": 0.0, "low": 0.0, "high": 0.0} for gap in row["worse_by"].values())
    assert refusals(rows, rows, Updating(auroc=0, brier=0, calibration=0)) == []


def test_a_challenger_that_ranks_by_chance_is_refused_by_each_figure():
    told = refusals(compared(np.random.default_rng(1).permutation(RISK)), [], Updating())
    assert [text.split(" is worse by")[0] for text in told[:3]] == [
        "AUROC of recent patients",
        "Brier score of recent patients",
        "mean calibration error of recent patients",
    ]


def test_one_that_is_blind_for_a_site_alone_is_refused_and_the_site_is_named():
    blind = np.where(SITE == "north", 0.5, RISK)
    told = refusals(compared(blind), [], Updating(auroc=0.2, brier=0.1, calibration=1))
    assert len(told) == 1
    assert told[0].startswith("AUROC of recent patients with site north is worse by")
    assert "expected at most 0.2" in told[0]


@pytest.mark.parametrize(("margin", "refused"), [(0.0, 3), (0.05, 0)])
def test_what_is_worse_within_the_margin_is_allowed(margin, refused):
    risks = np.clip(RISK + 0.1, 0, 0.999)  # ranks the same, but every risk is too high
    told = refusals(compared(risks), [], Updating(auroc=margin, brier=margin, calibration=1))
    assert len(told) == refused
    assert all(text.startswith("Brier score") for text in told)


def test_of_patients_of_before_only_the_ranking_counts():
    """How common the outcome is may have changed since."""
    higher, chance = np.clip(RISK + 0.2, 0, 0.999), np.random.default_rng(1).permutation(RISK)
    assert refusals(compared(RISK), compared(higher), Updating()) == []
    told = refusals(compared(RISK), compared(chance), Updating())
    assert {text.split(" is worse")[0] for text in told} == {
        "AUROC of patients of before",
        "AUROC of patients of before with site north",
        "AUROC of patients of before with site south",
    }


def test_where_the_champion_is_the_wrong_way_round_the_outcomes_are_in_doubt():
    """A challenger that learned outcomes turned round fits them better: that is no reason to trust it."""
    told = refusals(compared(1 - RISK, label=~LABEL), [], Updating())
    assert told
    assert all("the wrong way round (AUROC 0." in text and "are their outcomes right?" in text for text in told)


def test_a_subgroup_that_is_too_small_says_so_and_refuses_nothing():
    site = pd.Series(["tiny"] * 20 + [None] * (COUNT - 20))
    rows = compared(np.where(site == "tiny", 0.5, RISK), site=site)
    assert [(row["level"], row["reason"]) for row in rows[1:]] == [("missing", None), ("tiny", "fewer than 50 cases")]
    assert refusals(rows, [], Updating(auroc=0.05, brier=0.05, calibration=0.05)) == []


def test_where_nothing_can_be_compared_the_challenger_is_refused():
    rows = compared(RISK, label=np.zeros(COUNT, np.bool_))
    assert {row["reason"] for row in rows} == {"fewer than 5 cases with the outcome"}
    assert refusals(rows, [], Updating()) == ["everybody: fewer than 5 cases with the outcome: nothing can be compared"]
