"""The whole road of a table with gene sequences: a made CSV to scores."""

import gzip
import random

import pytest
from support.roads import new_run, score, scores_of, walk

from medspark.bundles.bundle import load_bundle
from medspark.stages.clean import clean_stage
from medspark.stages.score import score_stage
from medspark.store.tables import read_table
from medspark.task.load import check_task

pytestmark = pytest.mark.slow

MOTIF = "TTGACATC"
HEADER = "sample,patient,age,promoter,outcome"
TASK = {
    "task": "promoters",
    "title": "A made-up outcome of a motif",
    "source": {"kind": "table", "path": "unset", "format": "csv", "case": "sample", "subject": "patient"},
    "columns": {
        "sample": {"type": "long"},
        "patient": {"type": "string"},
        "age": {"type": "double"},
        "promoter": {"type": "string", "matches": "(?i)[ACGTUN]+", "otherwise": "missing"},
        "outcome": {"type": "boolean"},
    },
    "outcome": {"name": "outcome", "when": "outcome"},
    "features": {"numeric": ["age"], "genes": {"promoter": {"from": "promoter", "length": 30, "keep": "end"}}},
    "network": {"members": 3, "hidden": [16]},
    "training": {"epochs": 10, "batch_size": 64, "learning_rate": 0.005},
    "report": {"bootstrap": 20},
}


def samples(count, seed=0):
    """CSV lines whose outcome is that the last 30 letters have a motif; some sequences missing, lower case or odd."""
    rng = random.Random(seed)
    lines = []
    for sample in range(count):
        letters = [rng.choice("ACGT") for _ in range(rng.randint(25, 40))]
        outcome = rng.random() < 0.5
        if outcome:
            place = len(letters) - rng.randint(len(MOTIF), 25)
            letters[place : place + len(MOTIF)] = MOTIF
        text = "".join(letters)
        text = rng.choice([text, text.lower(), "", f"{text[:-1]}?"]) if rng.random() < 0.2 else text
        lines.append(f"{sample},p{sample // 2},{rng.uniform(20, 90):.1f},{text},{str(outcome).lower()}")
    return lines


def task_at(path, **changes):
    raw = {**TASK, "source": {**TASK["source"], "path": str(path)}, **changes}
    task, problems = check_task(raw)
    assert problems == []
    return task


@pytest.fixture(scope="module")
def road(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("promoters")
    source = folder / "samples.csv"
    lines = samples(2500)
    source.write_text("\n".join([HEADER, *lines]) + "\n")
    bundle, run = walk(spark, folder / "store", task_at(source))
    return {"folder": folder, "lines": lines, "source": source, "bundle": bundle, "run": run}


def test_the_motif_is_learned_and_litert_serves_it(road):
    bundle = load_bundle(road["bundle"])
    metrics = bundle.read_json("metrics.json")
    found, boosting = metrics["test"]["metrics"]["auroc"], metrics["baselines"]["gradient_boosting"]["metrics"]["auroc"]
    assert found["value"] > 0.98, "one sequence in ten is missing"
    assert found["value"] > boosting["value"], "which reads each place by itself"
    assert metrics["engine"]["litert_max_difference"] < 1e-5


def test_the_report_says_what_the_gene_is_and_letters_that_break_the_rule_are_counted(road):
    report = (road["bundle"] / "report.html").read_text()
    assert "promoter (promoter)" in report
    assert "the end of 30 letters, one strand" in report
    odd = sum("?" in line for line in road["lines"])
    assert road["run"].receipt.counts["clean"]["set_missing"] == {"promoter: pattern": odd}


def test_scores_are_those_of_training_and_a_case_without_a_sequence_has_one(spark, road):
    found, _ = score(spark, road, "scores", header=HEADER)
    assert found.keys() == set(range(2500))
    trained = {row["case_id"]: row for row in read_table(spark, str(road["folder"] / "store"), "predictions").collect()}
    tested = [case for case, row in trained.items() if row["split"] == "test"]
    assert max(abs(found[case] - trained[case]["probability"]) for case in tested) < 1e-6
    alone, _ = score(spark, road, "alone", ["1,new,,,"], HEADER)
    assert 0 < alone[1] < 1


def test_a_score_depends_on_neither_the_case_of_letters_nor_what_lies_before_the_part_that_is_kept(spark, road):
    kept = "acgtTTGACATCacgtacgtacgtacgtag"
    lines = [f"1,a,50,{kept},", f"2,b,50,{kept.upper()},", f"3,c,50,GGGGG{kept},", f"4,d,50,{kept[:-1]}C,"]
    found, _ = score(spark, road, "letters", lines, HEADER)
    assert found[1] == found[2] == found[3] != found[4]


def test_where_the_column_sets_rows_aside_the_row_is_rejected_with_the_rule(spark, road, tmp_path):
    columns = {**TASK["columns"], "promoter": {**TASK["columns"]["promoter"], "otherwise": "set_aside"}}
    run = new_run(spark, tmp_path / "store")
    clean_stage(run, task_at(road["source"], columns=columns))
    odd = sum("?" in line for line in road["lines"])
    assert run.receipt.counts["clean"]["quarantined"] == {"promoter: pattern": odd}


# ---------------------------------------------------------------- sequences of a FASTA file, both strands


COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def isolates(spark, tmp_path_factory):
    """A road whose sequences lie in a FASTA file beside the table, by the sample's id."""
    folder = tmp_path_factory.mktemp("isolates")
    rows = [line.split(",") for line in samples(400) if "?" not in line and ",," not in line]
    (folder / "samples.csv").write_text("\n".join([HEADER.replace("promoter,", ""), *(table_row(r) for r in rows)]))
    with gzip.open(folder / "isolates.fasta.gz", "wt") as file:
        file.writelines(f">{row[0]} of {row[1]}\n{row[3][:20]}\n{row[3][20:]}\n" for row in rows)
    columns = {**TASK["columns"], "promoter": {"type": "string", "fasta": "isolates.fasta.gz", "id": "sample"}}
    gene = {"from": "promoter", "length": 30, "keep": "middle", "reverse_complement": True}
    features = {"genes": {"promoter": gene}}
    network, training = {"members": 2, "hidden": [4]}, {"epochs": 2, "batch_size": 64}
    task = task_at(folder / "samples.csv", columns=columns, features=features, network=network, training=training)
    bundle, _ = walk(spark, folder / "store", task)
    return {"folder": folder, "rows": rows, "source": folder / "samples.csv", "bundle": bundle}


def table_row(row):
    return ",".join([*row[:3], row[4]])


def test_a_bundle_reads_the_fasta_file_that_lies_beside_tonights_table(spark, isolates):
    tonight = isolates["folder"] / "tonight"
    tonight.mkdir()
    chosen = isolates["rows"][:50]
    (tonight / "samples.csv").write_text(
        "\n".join(["sample,patient,age", *(",".join(row[:3]) for row in chosen), "x,p,1"])
    )
    letters = {row[0]: row[3].upper() for row in chosen}
    found = []
    for name, strand in (("given", str), ("turned", lambda text: text.translate(COMPLEMENT)[::-1])):
        with gzip.open(tonight / "isolates.fasta.gz", "wt") as file:
            file.writelines(
                f">{sample}\n{strand(text)}\n" for sample, text in letters.items() if sample != chosen[0][0]
            )
        run = new_run(spark, isolates["folder"] / name)
        score_stage(run, load_bundle(isolates["bundle"]), str(tonight / "samples.csv"))
        found.append(scores_of(spark, run.store))
        assert run.receipt.counts["score"]["rejected"] == {
            "quarantined: promoter: fasta": 1,
            "quarantined: sample: type": 1,
        }
    assert len(found[0]) == 49
    assert found[0] == found[1], "the reverse complements get the same risks to the bit"
    assert len(set(found[0].values())) > 40
