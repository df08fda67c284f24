"""Sequences of FASTA files: how records are cut, what is refused, and what becomes of an id that is not there."""

import gzip

import pytest
from support.errors import SECRET

from medspark.errors import InputError, TaskError
from medspark.sources import fasta as module
from medspark.sources.fasta import require_fasta, sequences_of
from medspark.sources.unchanged import require_unchanged
from medspark.task.load import check_task


def task_at(folder, fasta="genes.fasta", **changes):
    """A table of samples, with the sequences of their genes beside it."""
    raw = {
        "task": "t",
        "title": "t",
        "source": {"kind": "table", "path": f"{folder}/samples.csv", "format": "csv", "case": "id", "subject": "id"},
        "columns": {
            "id": {"type": "long"},
            "gene": {"type": "category"},
            "dna": {"type": "string", "fasta": fasta, "id": "gene", "otherwise": "missing", **changes},
            "ill": {"type": "boolean"},
        },
        "outcome": {"name": "ill", "when": "ill"},
        "features": {"genes": {"dna": {"from": "dna", "length": 8}}},
    }
    task, problems = check_task(raw)
    assert problems == []
    return task


def found_in(spark, folder, content, name="genes.fasta"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with sequences_of(spark, task_at(folder, name)) as sequences:
        return {row["_id"]: row["_letters"] for row in sequences["dna"].found.collect()}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (">a\nACGT\n", {"a": "ACGT"}),
        (">a", {"a": ""}),
        (">a\nAC\nGT\n\nTT\n>b\nGG", {"a": "ACGTTT", "b": "GG"}),  # wrapped lines, an empty one, no last newline
        (">a the first one > of two\nAC\n>b\tanother\nGG\n", {"a": "AC", "b": "GG"}),  # an id ends at white space
        ("> a\nAC\n", {"a": "AC"}),
        (">a\r\nAC\r\nGT\r\n>b\r\nGG\r\n", {"a": "ACGT", "b": "GG"}),
        ("; said\n;twice\n>a\n;in between\nAC\n; and here\nGT\n", {"a": "ACGT"}),
        ("\n\n>a\nAC\n", {"a": "AC"}),
        ("\ufeff>a\nAC\n", {"a": "AC"}),
        (">a\nac gt n*-\n", {"a": "acgtn*-"}),  # letters are judged by the column's rule, not here
        (">lcl|a.1\nAC\n>é\nGT\n", {"lcl|a.1": "AC", "é": "GT"}),
    ],
)
def test_records_go_from_one_mark_at_a_lines_beginning_to_the_next(spark, tmp_path, content, expected):
    assert found_in(spark, tmp_path, content) == expected


def test_compressed_files_and_folders_of_several_are_read(spark, tmp_path):
    folder = tmp_path / "genes"
    folder.mkdir()
    (folder / "a.fasta.gz").write_bytes(gzip.compress(b">a\nAC\nGT\n"))
    (folder / "b.fasta").write_text(">b\nGG\n")
    with sequences_of(spark, task_at(tmp_path, "genes")) as sequences:
        assert {tuple(row) for row in sequences["dna"].found.collect()} == {("a", "ACGT"), ("b", "GG")}
        assert len(sequences["dna"].states) == 2


def test_a_file_that_changes_while_it_is_read_is_noticed(spark, tmp_path, monkeypatch):
    place, records = tmp_path / "genes.fasta", module._records
    place.write_text(">a\nACGT\n")

    def changed(*given):
        place.write_text(">a\nACG\n")
        return records(*given)

    monkeypatch.setattr(module, "_records", changed)
    with sequences_of(spark, task_at(tmp_path, place.name)) as sequences:
        states = sequences["dna"].states
    with pytest.raises(InputError, match="stays as it is while it is read, received other content of file:"):
        require_unchanged(spark.sparkContext, states)


def test_a_file_of_many_blocks_is_cut_into_the_same_records(spark, tmp_path):
    content = "".join(f">s{at} x\n{'ACGT' * (at % 9)}\n{'TTGA' * (at % 5)}\n" for at in range(2000))
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "997")
    try:
        found = found_in(spark, tmp_path, content)
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)
    assert found == {f"s{at}": "ACGT" * (at % 9) + "TTGA" * (at % 5) for at in range(2000)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (f">a\nAC\n>{SECRET}\nGT\n>{SECRET}\nGT\n", "expected each id once, received 1 of them more than once"),
        (f"ACGT\n{SECRET}\n", "expected a FASTA file, whose records begin with >, received none"),
        (f"{SECRET}\n>a\nAC\n", "expected a FASTA file, whose records begin with >"),
        ("", "expected a FASTA file, whose records begin with >"),
        ("; nothing but this\n", "expected a FASTA file, whose records begin with >"),
        (">\nACGT\n>a\nAC\n", "expected an id after each >, received 1 records without one"),
    ],
)
def test_what_is_no_sound_fasta_file_is_refused_without_a_word_of_it(spark, tmp_path, content, says):
    with pytest.raises(InputError) as error:
        found_in(spark, tmp_path, content)
    assert says in str(error.value)
    assert SECRET not in str(error.value)


def test_a_file_that_is_named_gz_and_is_not_is_refused_by_name(spark, tmp_path):
    with pytest.raises(InputError, match=r"genes.fasta.gz: a file cannot be read"):
        found_in(spark, tmp_path, ">a\nAC\n", "genes.fasta.gz")


def test_a_file_that_is_not_there_is_told_before_spark_starts_wherever_the_source_lies(tmp_path):
    task = task_at(tmp_path)
    with pytest.raises(
        TaskError, match=rf"columns.dna.fasta: expected a file at {tmp_path}/genes.fasta, received none"
    ):
        require_fasta(task)
    (tmp_path / "genes.fasta").write_text(">a\nAC\n")
    require_fasta(task)
    with pytest.raises(TaskError, match=r"expected a file at /elsewhere/genes.fasta"):
        require_fasta(task, "/elsewhere/tonight.csv")
    require_fasta(task_at(tmp_path, str(tmp_path / "genes.fasta")), "/elsewhere/tonight.csv")
    require_fasta(task_at(tmp_path, "hdfs://there/genes.fasta"))


# ---------------------------------------------------------------- a table with sequences beside it


ROWS = "id,gene,ill\n1,a,true\n2,,false\n3,zz,false\n4,b,true\n5, a ,true\n6,c,false\n"
FASTA = ">a\nACGT\n>b\nACXT\n>c\n>d\nGG\n"


def cleaned(spark, folder, rows=ROWS, fasta=FASTA, **changes):
    from medspark.clean.table import clean

    (folder / "samples.csv").write_text(rows)
    (folder / "genes.fasta").write_text(fasta)
    return clean(spark, task_at(folder, **changes))


def sequences(found):
    return {row["id"]: (row["gene"], row["dna"]) for row in found.records.collect()}


def test_each_row_has_the_sequence_of_its_id_beside_the_id(spark, tmp_path):
    found = cleaned(spark, tmp_path)
    assert sequences(found) == {
        1: ("a", "ACGT"),
        2: (None, None),
        3: ("zz", None),
        4: ("b", "ACXT"),
        5: ("a", "ACGT"),
        6: ("c", ""),
    }
    assert found.counts.set_missing == {"dna: fasta": 1}
    found.release()


def test_an_id_that_is_not_there_and_letters_that_break_the_rule_set_their_rows_aside(spark, tmp_path):
    found = cleaned(spark, tmp_path, otherwise="set_aside", matches="(?i)[ACGTN]+")
    assert found.counts.quarantined == {"dna: fasta": 1, "dna: pattern": 2}
    assert sorted(sequences(found)) == [1, 2, 5]
    told = {row["line"]: row["reason"] for row in found.quarantine.collect()}
    assert told[4] == "dna: expected a sequence of the id in genes.fasta"
    found.release()


def test_where_each_must_be_there_one_that_is_not_ends_the_run(spark, tmp_path):
    with pytest.raises(InputError, match="dna: fasta: 1 rows"):
        cleaned(spark, tmp_path, otherwise="fail")


def test_another_sequence_is_another_source_and_another_width_of_lines_is_the_same(spark, tmp_path):
    marks = []
    for fasta in (FASTA, FASTA.replace("ACGT", "AC\nGT"), FASTA.replace("ACGT", "ACGA")):
        found = cleaned(spark, tmp_path, fasta=fasta)
        marks.append(found.fingerprint)
        found.release()
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ({"fasta": "x.fasta"}, "columns.dna.string: expected fasta and id together"),
        ({"fasta": "x.fasta", "id": "gne"}, "columns.dna.id reads 'gne', which is no column. Did you mean 'gene'?"),
        ({"fasta": "x.fasta", "id": "dna"}, "columns.dna.id reads 'dna', which is no column."),
    ],
)
def test_a_task_says_which_column_has_the_ids(tmp_path, column, says):
    raw = task_at(tmp_path).model_dump(mode="json", by_alias=True, exclude_none=True)
    raw["columns"]["dna"] = {"type": "string", **column}
    _, problems = check_task(raw)
    assert any(problem.startswith(says) for problem in problems), problems
