"""A second table under the first, and sources that lack more as a whole than any row shows."""

from types import SimpleNamespace

import pytest
from support.cleaning import NEWLINES, Clean, Rows
from support.tasks import STAYS, stays_task

from medspark.clean.limits import empty_columns, require_within
from medspark.errors import InputError
from medspark.stages.eligible import require_what_training_read
from medspark.store.facts import TableCounts
from medspark.task.load import check_task
from medspark.task.raw_table import Limits

VITALS = {
    "id": "long",
    "ward": "string",
    "pulse": {"type": "double", "otherwise": "missing"},
    "temp": {"type": "double", "otherwise": "missing"},
    "taken": {"type": "date", "otherwise": "missing"},
}
NUMBERS = {name: spec for name, spec in VITALS.items() if name != "id"} | {"id": "string"}


def test_rows_of_another_table_of_the_same_width_are_set_aside_by_name_and_not_read_as_missing_values(
    clean_text: Clean, records_of: Rows, set_aside: Rows
) -> None:
    text = (
        "ward,pulse,temp,taken,id\n"
        "A,70,36.5,2026-01-01,P1\n"
        "B,,37.0,2026-01-02,P2\n"
        "\n"
        "drug,name,dose,route,code\n"
        "x,aspirin,high,oral,B01\n"
        "y,heparin,low,,B02\n"
        "A,fast,36.1,2026-01-03,P3\n"
    )
    cleaned = clean_text(text, NUMBERS, case="id", subject="id")
    assert [row[-1] for row in records_of(cleaned)] == ["P1", "P2", "B02", "P3"]  # two values say too little of B02
    assert set_aside(cleaned) == [(5, "record: other table"), (6, "record: other table")]
    assert cleaned.counts.set_missing == {"pulse: type": 2, "temp: type": 1}
    assert cleaned.quarantine.head()["reason"].startswith("expected values of the columns' types, received not one")
    cleaned.release()


@pytest.mark.parametrize("header", ["b,a,c", "\ufeffb,a,c", "a,c,b", '"c","a","b"'])
@pytest.mark.parametrize("source", [{}, NEWLINES], ids=["lines", "quoted newlines"])
def test_a_header_of_another_order_among_the_rows_ends_the_run(header: str, source: dict, clean_text: Clean) -> None:
    columns = dict.fromkeys("abc", "string")
    with pytest.raises(InputError, match=r"received 1 more, .*another order.* Keep them apart"):
        clean_text(f"a,b,c\n1,x,y\n{header}\n2,z,w\n", columns, **source)


def test_values_that_are_names_of_columns_are_values(clean_text: Clean, records_of: Rows) -> None:
    cleaned = clean_text("a,b,c\n1,a,b\na,x,b\nb,b,a\n", dict.fromkeys("abc", "string"))
    assert records_of(cleaned) == [("1", "a", "b"), ("a", "x", "b"), ("b", "b", "a")]
    cleaned.release()


# ---------------------------------------------------------------- shares

ROWS = "id,pulse,temp\n1,70,36\n2,x,37\n3,,\n4,80,x\n5,81,\n"
COLUMNS = {"id": "long", "pulse": "double", "temp": {"type": "double", "otherwise": "missing"}}


def test_records_without_a_value_are_counted_whether_it_was_absent_or_set_missing(clean_text: Clean) -> None:
    cleaned = clean_text(ROWS, COLUMNS)
    assert (cleaned.counts.records, cleaned.counts.missing) == (4, {"pulse": 1, "temp": 3})
    cleaned.release()


@pytest.mark.parametrize(
    ("limits", "problems"),
    [
        ({"set_aside_at_most": 0.2, "missing_at_most": {"temp": 0.75}}, []),
        ({"set_aside_at_most": 0.19}, ["set aside: 20.0% of the rows, of which 19.0% may be"]),
        (
            {"set_aside_at_most": 0, "missing_at_most": {"pulse": 0.3, "temp": 0.7}},
            [
                "set aside: 20.0% of the rows, of which 0.0% may be",
                "temp: missing in 75.0% of the records, of which 70.0% may lack it",
            ],
        ),
    ],
)
def test_a_source_that_lacks_more_than_its_limits_ends_the_run(
    limits: dict, problems: list[str], clean_text: Clean
) -> None:
    if not problems:
        clean_text(ROWS, COLUMNS, sections={"limits": limits}).release()
        return
    with pytest.raises(InputError) as error:
        clean_text(ROWS, COLUMNS, sections={"limits": limits})
    assert str(error.value).splitlines()[1:] == [f"  - {problem}" for problem in problems]


def counts(records: int, **missing: int) -> TableCounts:
    return TableCounts(records, 0, records, {}, 0, {}, 0, {}, missing)


def test_no_row_is_within_any_limit() -> None:
    require_within(Limits(set_aside_at_most=0, missing_at_most={"age": 0}), counts(0))
    assert empty_columns(counts(0)) == []


def test_a_limit_is_of_a_column_that_the_task_has() -> None:
    _, problems = check_task({**STAYS, "limits": {"missing_at_most": {"agge": 0.5}}})
    assert problems == ["limits.missing_at_most reads 'agge', which is no column. Did you mean 'age'?"]


# ---------------------------------------------------------------- a night


def bundle(trained: dict, **scoring: str) -> SimpleNamespace:
    return SimpleNamespace(task=stays_task(scoring=scoring), manifest={"counts": trained})


TRAINED = {"records": 1000, "missing": {"sex": 500, "diag_2": 1000}}


@pytest.mark.parametrize(
    ("tonight", "absent"),
    [
        (counts(50, age=50), ["a value in column age"]),
        (counts(50, age=49), []),
        (counts(3, age=3), []),  # three patients may be alike
        (counts(4, age=4), ["a value in column age"]),
        (counts(19, sex=19), []),  # every other one in training
        (counts(21, sex=21), ["a value in column sex"]),
        (counts(50, diag_2=50), []),  # training had none
        (counts(50, back=50, died=50), ["a value in column died"]),  # no outcome is known tonight
        (counts(0), []),
    ],
)
def test_a_column_that_training_had_and_no_record_of_tonight_is_absent(tonight: TableCounts, absent: list[str]) -> None:
    run = SimpleNamespace(receipt=SimpleNamespace(absent=[]), say=lambda _: None)
    require_what_training_read(run, bundle(TRAINED, absent="warn"), tonight)
    assert run.receipt.absent == absent
    if absent:
        with pytest.raises(InputError, match=f"training read {absent[0]}, which this source lacks"):
            require_what_training_read(run, bundle(TRAINED), tonight)


def test_a_bundle_that_knows_no_shares_asks_for_none() -> None:
    run = SimpleNamespace(receipt=SimpleNamespace())
    require_what_training_read(run, bundle({"records": 1000}), counts(50, age=50))
    assert run.receipt.absent == []
