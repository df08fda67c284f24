"""What a table seems to be: types, missing spellings, units, keys, leaks; at the edges too."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medspark.draft.profile import make_profile
from medspark.draft.sample import read_sample
from medspark.errors import InputError, TaskError


def csv(tmp_path, header, rows, name="stays.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def profile(tmp_path, header, rows, **asked):
    return make_profile(read_sample(csv(tmp_path, header, rows)), **asked)


def column(tmp_path, name, values):
    """The profile of one column beside a key."""
    found = profile(tmp_path, f"stay_id,{name}", [f"{at},{value}" for at, value in enumerate(values, 1)])
    return found.columns[name]


@pytest.mark.parametrize(
    ("name", "values", "spec"),
    [
        ("drugs", ["0", "3", "5", "2"], {"type": "integer", "range": [0, None]}),
        ("sodium", ["131", "140", "139", "145"], {"type": "double", "range": [0, None]}),
        ("age", ["20", "34", "71", "90"], {"type": "integer", "unit": "years", "range": [0, 120]}),
        ("change", ["-1.5", "2", "0.25", "3"], {"type": "double"}),
        ("died", ["yes", "no", "no", "yes"], {"type": "boolean", "true_values": ["yes"], "false_values": ["no"]}),
        ("died", ["1", "0", "0", "1"], {"type": "boolean", "true_values": ["1"], "false_values": ["0"]}),
        ("ages", ["[70-80)", "[0-10)", "[70-80)", ">90"], {"type": "interval"}),
        ("born", ["2024-02-01", "1999-12-31", "1970-01-01", "2001-05-05"], {"type": "date"}),
        ("seen", ["24/12/2023", "01/02/2024", "13/01/2024", ""], {"type": "date", "format": "dd/MM/yyyy"}),
        ("site_code", ["007", "012", "007", "012"], {"type": "category"}),
        ("ward_id", ["3", "4", "3", "4", "3"], {"type": "category"}),
        ("empty", ["", "NA", "", ""], {"type": "string"}),
        ("weight_kg", ["60.5", "70", "81.25", "99"], {"type": "double", "unit": "kg", "range": [0, None]}),
    ],
)
def test_a_column_is_of_the_type_of_its_values(tmp_path, name, values, spec):
    assert column(tmp_path, name, values).spec == spec


def test_days_that_could_be_months_are_told():
    from collections import Counter

    from medspark.draft.times import read_times

    found = read_times(Counter({"01/02/2024": 2, "03/04/2024": 1}))
    assert found.format == "dd/MM/yyyy"
    assert "MM/dd/yyyy" in found.remarks[0]


def test_an_unsure_spelling_is_missing_among_numbers_and_a_level_elsewhere(tmp_path):
    rows = [f"{at},{sodium},{test}" for at, (sodium, test) in enumerate([("140", "None"), ("unknown", ">7")] * 30)]
    found = profile(tmp_path, "stay_id,sodium,a1c", rows)
    assert found.missing == ["unknown"]
    assert found.columns["sodium"].missing == {"unknown": 30}
    assert found.columns["a1c"].counts == {"None": 30, ">7": 30}
    assert "'None' is taken for a level" in found.columns["a1c"].remarks[0]


def test_a_sentinel_apart_from_all_values_is_missing_and_a_true_extreme_is_not(tmp_path):
    spec = column(tmp_path, "sodium", ["-9"] * 10 + [str(130 + at % 20) for at in range(90)]).spec
    assert spec["missing"] == ["-9"]
    assert "missing" not in column(tmp_path, "saturation", ["99"] * 10 + [str(80 + at % 19) for at in range(90)]).spec


def test_units_in_a_column_of_their_own_are_brought_to_the_commonest(tmp_path):
    rows = [f"{at},{1 + at / 100},mg/dL" for at in range(60)] + [f"{at},{90 + at},umol/L" for at in range(60, 99)]
    found = profile(tmp_path, "stay_id,creatinine,creatinine_unit", [*rows, "99,1,furlong"])
    spec = found.columns["creatinine"].spec
    assert spec["units"] == {"column": "creatinine_unit", "to_unit": {"mg/dL": 1, "umol/L": 0.01131}}
    assert (spec["unit"], spec["otherwise"]) == ("mg/dL", "missing")
    assert found.columns["creatinine_unit"].left_out == "the unit of creatinine"


def test_keys_are_told_by_names_and_by_how_often_they_repeat(tmp_path):
    rows = [f"{1000 + at},{at // 3},x" for at in range(99)] + ["1098,32,x"]
    found = profile(tmp_path, "admission_id,patient_id,ward", rows)
    assert (found.case, found.subject, found.written_twice) == ("admission_id", "patient_id", 1)
    assert found.columns["ward"].left_out == "one value in all rows"


def test_a_table_without_a_key_has_no_case(tmp_path):
    assert profile(tmp_path, "age,sex", ["70,F", "70,F", "81,M"]).case is None


def test_what_repeats_another_column_is_left_out(tmp_path):
    found = profile(tmp_path, "stay_id,age,years", [f"{at},{20 + at % 7},{20 + at % 7}" for at in range(50)])
    assert found.columns["years"].left_out == "the same as age in every row"
    assert found.columns["age"].left_out is None


def test_a_column_that_tells_the_outcome_is_taken_for_a_leak_and_a_good_predictor_is_not(tmp_path):
    late = {0: "home", 1: "late"}
    rows = [f"{at},{at % 2},{late[at % 2]},{at % 2 * 3 + at % 7},{at % 5}" for at in range(400)]
    found = profile(tmp_path, "stay_id,relapse,seen_at,score,other", rows, outcome="relapse")
    reasons = {name: one.left_out for name, one in found.columns.items() if one.role == "feature"}
    assert reasons.keys() == {"seen_at", "score", "other"}
    assert "alone it tells the outcome with an AUROC of 1.000" in reasons["seen_at"]
    assert (reasons["score"], reasons["other"]) == (None, None)


def test_a_value_that_is_there_for_those_with_the_outcome_alone_is_a_leak(tmp_path):
    rows = [f"{at},{at % 2},{at % 11 if at % 2 else ''}" for at in range(200)]
    found = profile(tmp_path, "stay_id,relapse,hours_in_icu", rows, outcome="relapse")
    assert "AUROC of 1.000" in found.columns["hours_in_icu"].left_out


def test_a_name_of_what_comes_afterwards_is_a_leak_but_a_discharge_is_known_at_readmission(tmp_path):
    rows = [f"{at},{at % 2},{'a' if at % 3 else 'b'},{at % 9}" for at in range(120)]
    kept = profile(tmp_path, "stay_id,readmitted,discharge_to,days_to_death", rows, outcome="readmitted").columns
    assert kept["discharge_to"].left_out is None
    assert "known only afterwards" in kept["days_to_death"].left_out
    other = profile(tmp_path, "stay_id,sepsis,discharge_to,x", rows, outcome="sepsis").columns
    assert "known only afterwards" in other["discharge_to"].left_out


@pytest.mark.parametrize(
    ("asked", "spec"),
    [
        ("fate = 'early'", {"name": "fate = early", "when": "fate = 'early'"}),
        (
            "fate",
            {"name": "fate", "classes": {"early": "fate = 'early'", "late": "fate = 'late'", "no": "fate = 'no'"}},
        ),
        ("days > 7", {"name": "days > 7", "when": "days > 7"}),
        ("died", {"name": "died", "when": "died"}),
        ("died = 0", {"name": "died = 0", "when": "not died"}),
    ],
)
def test_an_outcome_is_a_column_or_a_condition_on_one(tmp_path, asked, spec):
    rows = [f"{at},{('early', 'late', 'no')[at % 3]},{at % 15},{at % 2}" for at in range(90)]
    assert profile(tmp_path, "stay_id,fate,days,died", rows, outcome=asked).outcome.spec == spec


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("fata", "Did you mean 'fate'"),
        ("fate = 'erly'", "Did you mean 'early'"),
        ("stay_id", "2 to 10 values"),
        ("drugs > few", "a number to compare with, received 'few'"),
        ("fate > 3", "a number to compare, received 'fate'"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused_with_a_hint(tmp_path, asked, says):
    rows = [f"{at},{('early', 'late', 'no')[at % 3]},{at % 20}" for at in range(90)]
    with pytest.raises(TaskError, match=says):
        profile(tmp_path, "stay_id,fate,drugs", rows, outcome=asked)


def test_days_beside_an_event_make_horizons(tmp_path):
    rows = [f"{at},{at % 2},{at}" for at in range(1, 400)]
    found = profile(tmp_path, "stay_id,event,time", rows, outcome="event", days="time").outcome
    assert found.spec == {"name": "event", "event": "event", "days": "time", "horizons_days": [100, 200, 300]}
    assert found.columns == ("event", "time")


def test_the_share_of_an_outcome_by_a_horizon_is_of_those_who_were_followed_to_it(tmp_path):
    days = [10] * 30 + [400] * 20
    rows = [f"{at},{int(at < 20)},{length}" for at, length in enumerate(days)]  # 20 had it by day 10, 10 were lost
    found = profile(tmp_path, "stay_id,event,time", rows, outcome="event", days="time").outcome
    assert found.spec["horizons_days"] == [10]
    assert found.share == 20 / 40


def test_one_row_is_a_table_and_none_is_not(tmp_path):
    assert profile(tmp_path, "stay_id,age", ["1,70"]).sample.rows == 1
    with pytest.raises(InputError, match="at least one row, received none"):
        profile(tmp_path, "stay_id,age", [])


def test_the_dialect_is_told_by_the_lines(tmp_path):
    path = tmp_path / "d.csv"
    path.write_bytes(
        'id;text\r\n1;"two\r\nlines"\r\n2;"never closed\r\n3;plain\r\n4;M\xe9ni\xe8re\r\n'.encode("cp1252")
    )
    sample = read_sample(str(path))
    assert sample.columns == {"id": ["1", "3", "4"], "text": ["two\nlines", "plain", "Ménière"]}
    assert sample.dialect == (";", "windows-1252", True, True)
    assert sample.broken == 1


def test_an_index_of_pandas_is_told_by_its_missing_name(tmp_path):
    with pytest.raises(InputError, match="index_label"):
        read_sample(csv(tmp_path, ",age", ["0,70"]))


def test_parquet_has_types_of_its_own_and_json_is_text(tmp_path):
    rows = {"stay_id": [1, 2], "risk": [1.5, float("nan")], "died": [True, None], "note": ["a", None]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    sample = read_sample(str(tmp_path / "t.parquet"))
    assert sample.columns == {"stay_id": ["1", "2"], "risk": ["1.5", ""], "died": ["true", ""], "note": ["a", ""]}
    assert sample.stored == {"stay_id": "number", "risk": "number", "died": "boolean", "note": "text"}
    (tmp_path / "t.json").write_text('{"stay_id": 1, "risk": 1.5}\n{"stay_id": 2, "died": true}\n[1]\n')
    sample = read_sample(str(tmp_path / "t.json"))
    assert (sample.format, sample.broken) == ("ndjson", 1)
    assert sample.columns == {"stay_id": ["1", "2"], "risk": ["1.5", ""], "died": ["", "true"]}


def test_json_is_an_array_however_long_its_line_and_a_damaged_archive_is_told(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps([{"stay_id": at, "age": 70} for at in range(900)]))
    sample = read_sample(str(tmp_path / "t.json"))
    assert (sample.format, sample.rows) == ("json", 900)
    packed = gzip.compress(b"stay_id,age\n" + b"1,70\n" * 900)
    (tmp_path / "t.csv.gz").write_bytes(packed)
    assert read_sample(str(tmp_path / "t.csv.gz")).rows == 900
    (tmp_path / "t.csv.gz").write_bytes(packed[:-20])
    with pytest.raises(InputError, match="received one that is damaged"):
        read_sample(str(tmp_path / "t.csv.gz"))


def test_lists_in_parquet_and_kinds_that_mix_are_refused(tmp_path):
    pq.write_table(pa.table({"stay_id": [1], "codes": [["a"]]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="lists or records in codes"):
        read_sample(str(tmp_path / "t.parquet"))
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match="files of one kind"):
        read_sample(str(tmp_path))


def test_a_large_file_is_looked_at_in_pieces_from_its_start_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr("medspark.draft.sample.MOST_BYTES", 16_000)
    sample = read_sample(csv(tmp_path, "stay_id,age", [f"{at},{at % 90}" for at in range(20_000)]))
    ids = [int(text) for text in sample.columns["stay_id"]]
    assert not sample.whole
    assert sample.broken == 0
    assert (min(ids), max(ids)) == (0, 19_999)
    assert len(set(ids)) == len(ids) < 3000


def test_a_pattern_with_folders_is_the_files_of_all_of_them(tmp_path):
    for year in ("2023", "2024"):
        (tmp_path / year).mkdir()
        (tmp_path / year / "stays.csv").write_text(f"stay_id,age\n{year},7\n")
        (tmp_path / year / "_SUCCESS").write_text("")
    assert read_sample(f"{tmp_path}/20*/*").columns == {"stay_id": ["2023", "2024"], "age": ["7", "7"]}


def test_no_level_and_no_quantile_of_few_rows_is_told(tmp_path):
    few = column(tmp_path, "ward", ["north"] * 12 + ["south"] * 4)
    assert few.spec == {"type": "category"}
    assert few.levels() == [("north", 12)]
    assert column(tmp_path, "sodium", range(130, 149)).shown_quantiles() == ["–", "–", "139", "–", "–"]
    assert column(tmp_path, "sodium", [130 + at % 20 for at in range(500)]).shown_quantiles()[0] == "130"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_large_file_in_utf_16_is_looked_at_from_its_start(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr("medspark.draft.sample.MOST_BYTES", 10_001)
    text = "\ufeffstay_id,age\n" + "".join(f"{at},{at % 90}\n" for at in range(9000))
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    sample = read_sample(str(tmp_path / "t.csv"))
    assert (sample.whole, sample.broken, sample.dialect.encoding) == (False, 0, "utf-16")
    assert sample.columns["stay_id"] == [str(at) for at in range(sample.rows)]
    assert sample.rows > 300
