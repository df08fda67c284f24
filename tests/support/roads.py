"""Made-up stays, and the whole road on them: what the tests of several stages walk."""

import io
import json
import math
import random

from rich.console import Console

from medspark.bundles.bundle import load_bundle
from medspark.runs.receipt import Receipt, new_run_id
from medspark.runs.run import Run
from medspark.stages.clean import clean_stage
from medspark.stages.features import features_stage
from medspark.stages.score import score_stage
from medspark.stages.train import train_stage
from medspark.store.tables import read_table
from support.tasks import STAYS, stays_at

HEADER = ",".join(STAYS["columns"])


def stays(count, seed=0):
    """CSV lines of stays whose return depends on age and one diagnosis; some values missing, one age impossible."""
    rng = random.Random(seed)
    lines = []
    for stay in range(count):
        age, sex = rng.uniform(20, 90), rng.choice(["F", "M", ""])
        codes = [rng.choice(["I50", "E11", "I10", "J44"]) for _ in range(2)]
        risk = 1 / (1 + math.exp(-(age - 60) / 12 - (2 if "I50" in codes else -1)))
        shown = "" if rng.random() < 0.1 else f"{age:.1f}"
        died, back = rng.random() < 0.03, rng.random() < risk
        lines.append(
            f"{stay},p{stay // 2},{shown},{sex},{codes[0]},{codes[1]},{died},{back}".lower().replace("f,", "F,")
        )
    return [line.replace(",m,", ",M,").replace(",f,", ",F,") for line in lines]


def write(path, lines, header=HEADER):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def new_run(spark, store):
    quiet = Console(quiet=True)
    return Run(spark.sparkContext, str(store), quiet, Receipt("test", new_run_id(), {}), quiet)


def telling_run(spark, store):
    """A run, and what gives all that it has said."""
    heard = io.StringIO()
    run = new_run(spark, store)
    run.console = Console(file=heard, width=300)
    return run, heard.getvalue


def receipt_in(said):
    """The receipt that a command with --json printed among its launcher's words."""
    return json.JSONDecoder().raw_decode(said, said.index("{\n"))[0]


def walk(spark, store, task):
    run = new_run(spark, store)
    frozen = clean_stage(run, task)
    features_stage(run, frozen)
    return train_stage(run, frozen), run


def walked(spark, folder):
    """The source, the store and the bundle of one walk down the road."""
    lines = [*stays(1500), "9001,p9001,240,F,I10,I10,false,true"]
    source = write(folder / "stays.csv", lines)
    bundle, run = walk(spark, folder / "store", stays_at(source))
    return {"folder": folder, "lines": lines, "source": source, "bundle": bundle, "run": run}


def scores_of(spark, store):
    return {row["case_id"]: row["probability"] for row in read_table(spark, str(store), "scores").collect()}


def score(spark, road, name, lines=None, header=HEADER, **options):
    store = road["folder"] / name
    source = road["source"] if lines is None else write(road["folder"] / f"{name}.csv", lines, header)
    run = new_run(spark, store)
    score_stage(run, load_bundle(road["bundle"]), str(source), **options)
    return scores_of(spark, store), run
