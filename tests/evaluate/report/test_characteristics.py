"""Who the training cases are: means and shares of levels, small counts hidden."""

from medspark.encode.kinds.table import CategoricalStatistics, NumericStatistics
from medspark.encode.statistics import Statistics
from medspark.evaluate.report.features import characteristics

AGE = NumericStatistics(
    column="age",
    scaling="standard",
    center=60,
    scale=10,
    knots=(0.0,) * 13,
    impute=60,
    missing_indicator=False,
    mean=61.5,
    sd=9.5,
    missing_share=0.02,
)


def of(levels, counts, rare, varies=True, cases=1000):
    sex = CategoricalStatistics(column="sex", levels=levels, counts=counts, rare=rare, missing_share=0.0, varies=varies)
    return Statistics(cases=cases, numeric=(AGE,), categorical=(sex,), codes=())


def test_numbers_have_their_mean_and_levels_their_share_with_the_missing_last():
    age, female, male, missing = characteristics(of(("F", "M"), (600, 380), 0))
    assert age == {"name": "age", "mean": 61.5, "sd": 9.5, "missing_share": 0.02}
    assert [(row["level"], row["cases"], row["share"]) for row in (female, male, missing)] == [
        ("F", 600, 0.6),
        ("M", 380, 0.38),
        ("missing", 20, 0.02),
    ]


def test_a_small_level_is_hidden_and_rounds_the_others():
    rows = characteristics(of(("F", "M"), (600, 393), 7))[1:]
    assert [(row["level"], row["cases"], row["share"]) for row in rows] == [
        ("F", "~600", 0.6),
        ("M", "~390", 0.39),
        ("rarer levels", "<11", None),
    ]


def test_what_is_the_same_in_all_cases_says_nothing_of_them():
    assert [row["name"] for row in characteristics(of(("F",), (1000,), 0, varies=False))] == ["age"]
