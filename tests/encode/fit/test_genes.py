"""What training had of a gene is counted; nothing else of it is fitted."""

import pytest

from medspark.encode.fit.fit import fit_statistics
from medspark.encode.strange import remarks_of
from medspark.task.features import Features

CASES = "case_id bigint, subject_id string, split string, boolean_value boolean, dna string"
ROWS = [
    (1, "a", "train", True, "ACGT"),
    (2, "b", "train", False, "ac gt\nA"),  # white space is no letter
    (3, "c", "train", False, "ACGTACGTN"),  # longer than there is room for
    (4, "d", "train", False, "acxt"),  # x is no letter of IUPAC's
    (5, "e", "train", False, "ACRYU"),
    (6, "f", "train", True, None),
    (7, "g", "train", True, " "),
    (8, "h", "train", None, "XXXXXXXXX"),  # outcome unknown: not counted
    (9, "i", "test", True, "XXXXXXXXX"),
]


def fitted(spark, rows, **changes):
    features = Features.model_validate({"genes": {"p": {"from": "dna", "length": 5, **changes}}})
    return fit_statistics(spark.createDataFrame(rows, CASES), features)


def test_missing_longer_and_odd_sequences_of_labelled_training_cases_are_counted(spark):
    (gene,) = fitted(spark, ROWS).genes
    assert (gene.longer, gene.odd, gene.missing_share) == (1, 1, pytest.approx(2 / 7))
    assert gene.title == "p (dna)"
    assert gene.summary == (
        "the start of 5 letters, one strand; 1 longer ones cropped; 1 with letters that are not IUPAC's, read as N"
    )


@pytest.mark.parametrize(
    ("texts", "varies"),
    [
        (["ACGT", "acgt", "AC GT"], False),
        (["ACGT", "ACGA"], True),
        (["ACGT", None], True),
        ([None, "", None], False),
    ],
)
def test_a_gene_that_is_the_same_in_all_training_cases_is_left_out_by_name(spark, texts, varies):
    statistics = fitted(spark, [(at, str(at), "train", True, text) for at, text in enumerate(texts)])
    assert statistics.genes[0].varies == varies
    left_out = {"p (dna)": "left out, the same in all training cases"}
    assert remarks_of(statistics) == ({} if varies else left_out)
    assert statistics.widths() == ({"gene_p": 5} if varies else {})
