"""Gene sequences become ids: every letter of IUPAC's, whichever part is kept, either strand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medspark.encode.kinds.genes import LETTERS, GeneStatistics, bases_of
from medspark.encode.statistics import Statistics, from_json, to_json
from medspark.encode.worker.encoder import encode

COMPLEMENT = str.maketrans("ACGTURYSWKMBDHVN", "TGCAAYRSWMKVHDBN")
"""IUPAC's table, Cornish-Bowden 1985: A-T, C-G, R-Y, K-M, B-V, D-H; S, W and N are their own."""

letters = st.text(alphabet="ACGTRYSWKMBDHVN", max_size=12)
parts = st.sampled_from(["start", "middle", "end"])


def reversed_complement(text):
    return text.translate(COMPLEMENT)[::-1]


def genes(texts, length=6, keep="start", both=False, **changes):
    """The arrays of a column of texts, by their inputs' names."""
    known = {"reverse_complement": both, "longer": 0, "odd": 0, "missing_share": 0.0, **changes}
    gene = GeneStatistics(column="promoter", name="p", length=length, keep=keep, **known)
    statistics = Statistics(cases=10, numeric=(), categorical=(), codes=(), genes=(gene,))
    assert from_json(to_json(statistics)) == statistics
    return encode(pa.record_batch([pa.array(texts, pa.string())], ["promoter"]), statistics)


def spelled(array):
    """Rows of ids as letters, with - for padding."""
    return ["".join(LETTERS[one] for one in row) for row in array]


@pytest.mark.parametrize(
    ("letter", "probabilities"),
    [
        ("A", (1, 0, 0, 0)),
        ("C", (0, 1, 0, 0)),
        ("G", (0, 0, 1, 0)),
        ("T", (0, 0, 0, 1)),
        ("U", (0, 0, 0, 1)),
        ("R", (1 / 2, 0, 1 / 2, 0)),
        ("Y", (0, 1 / 2, 0, 1 / 2)),
        ("S", (0, 1 / 2, 1 / 2, 0)),
        ("W", (1 / 2, 0, 0, 1 / 2)),
        ("K", (0, 0, 1 / 2, 1 / 2)),
        ("M", (1 / 2, 1 / 2, 0, 0)),
        ("B", (0, 1 / 3, 1 / 3, 1 / 3)),
        ("D", (1 / 3, 0, 1 / 3, 1 / 3)),
        ("H", (1 / 3, 1 / 3, 0, 1 / 3)),
        ("V", (1 / 3, 1 / 3, 1 / 3, 0)),
        ("N", (1 / 4, 1 / 4, 1 / 4, 1 / 4)),
        ("X", (1 / 4, 1 / 4, 1 / 4, 1 / 4)),  # no letter of IUPAC's: any base
        ("-", (1 / 4, 1 / 4, 1 / 4, 1 / 4)),  # a gap of an alignment is no padding
        ("é", (1 / 4, 1 / 4, 1 / 4, 1 / 4)),  # two bytes, one letter
    ],
)
def test_each_letter_has_the_probabilities_of_the_bases_that_it_may_be(letter, probabilities):
    for written in (letter, letter.lower()):
        ids = genes([written], length=2)["gene_p"][0]
        assert bases_of(int(ids[0])) == pytest.approx(probabilities)
        assert bases_of(int(ids[1])) == (0, 0, 0, 0), "padding"


@pytest.mark.parametrize(
    ("keep", "long", "short"),
    [("start", "ACGTAC", "AC----"), ("middle", "CGTACG", "--AC--"), ("end", "GTACGT", "----AC")],
)
def test_a_longer_sequence_keeps_the_part_that_is_asked_for_and_a_shorter_one_lies_there(keep, long, short):
    assert spelled(genes(["ACGTACGT", "AC", "ACGTAC"], keep=keep)["gene_p"]) == [long, short, "ACGTAC"]


def test_a_missing_or_empty_sequence_is_all_padding_on_both_strands():
    for array in genes([None, "", " \n"], both=True).values():
        assert array.tolist() == [[0] * 6] * 3


def test_white_space_is_passed_over_and_soft_masked_letters_are_read():
    assert spelled(genes(["ac gt\r\n\tNn"])["gene_p"]) == ["ACGTNN"]


def test_ids_are_int32_and_a_rows_ids_do_not_depend_on_its_batch():
    texts = ["ACGTTTT", None, "éA", "N", ""]
    whole = genes(texts, keep="middle", both=True)
    assert {name: array.dtype.name for name, array in whole.items()} == {"gene_p": "int32", "reverse_p": "int32"}
    for at, text in enumerate(texts):
        for name, array in genes([text], keep="middle", both=True).items():
            assert array.tolist() == [whole[name][at].tolist()]


def test_slices_and_empty_batches_are_heeded():
    column = pa.array(["TTTT", "ACGT", None, "GG"], pa.string())
    gene = GeneStatistics(
        column="c", name="p", length=4, keep="start", reverse_complement=False, longer=0, odd=0, missing_share=0.0
    )
    statistics = Statistics(cases=1, numeric=(), categorical=(), codes=(), genes=(gene,))
    batch = pa.record_batch([column], ["c"])
    assert spelled(encode(batch.slice(1, 3), statistics)["gene_p"]) == ["ACGT", "----", "GG--"]
    assert encode(batch.slice(4), statistics)["gene_p"].shape == (0, 4)


@given(letters, parts)
def test_of_any_sequence_as_many_letters_are_kept_as_there_is_room_for_and_in_their_order(text, keep):
    (found,) = spelled(genes([text], keep=keep)["gene_p"])
    assert found.strip("-") in text
    assert len(found.strip("-")) == min(len(text), 6)


@given(letters, parts, st.integers(1, 15))
@example("ACGTACG", "start", 4)
@example("ACG", "middle", 6)  # one place more on the right than on the left
def test_a_sequence_and_its_reverse_complement_are_each_others_strands(text, keep, length):
    one = genes([text], length, keep, both=True)
    other = genes([reversed_complement(text)], length, keep, both=True)
    assert one["gene_p"].tolist() == other["reverse_p"].tolist()
    assert one["reverse_p"].tolist() == other["gene_p"].tolist()


@given(st.text(max_size=20))
def test_no_text_whatever_it_is_has_an_id_outside_the_vocabulary_or_another_number_of_letters(text):
    array = genes([text], length=20)["gene_p"]
    assert array.min() >= 0
    assert array.max() < len(LETTERS)
    assert np.count_nonzero(array) == sum(letter not in " \t\n\v\f\r" for letter in text)


def test_a_gene_that_was_the_same_in_all_training_cases_has_no_input():
    assert genes(["ACGT"], varies=False) == {}
