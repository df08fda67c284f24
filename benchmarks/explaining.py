"""Explaining at scale: medspark's scoring with the five largest contributions of every row, beside SHAP and LIME.

    python benchmarks/explaining.py                       2 million rows of 64 numbers, top 5 of every row
    python benchmarks/explaining.py --millions 0.2        fewer
    python benchmarks/explaining.py --network tabular     the default network, eight members with ramps

medspark scores and explains the same Parquet in one run of the command, on as many cores as are said; warm is the same
work again in the same process, the median of the repetitions, from the start to scores and explanations published.
Memory is the most that one Python worker ever had resident. SHAP and LIME are called as their documentation says, on
one core, on a sample of the rows, with the network's own LiteRT engine but for shap's GradientExplainer, which asks
Keras; no Spark, no reading and no writing is in their time. All are compared by seconds of CPU, medspark's with those
of Java and of every worker, so that other programs on the machine change no ratio.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scoring import mark, run, watch
from scoring_place import bundle_of, draw, made_statistics, write_tensors

BACKGROUND = 100
"""Rows that SHAP and LIME compare with."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=2)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--network", choices=["plain", "tabular"], default="plain")
    parser.add_argument("--repeat", type=int, default=3, help="warm runs")
    parser.add_argument("--sample", type=int, default=40, help="rows that SHAP and LIME explain; LIME a quarter")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder without it")
    parser.add_argument("--one", nargs=3, metavar=("PLACE", "CORES", "TIMES"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", nargs=3, metavar=("PLACE", "NETWORK", "ROWS"), help=argparse.SUPPRESS)
    parser.add_argument("--peer", nargs=3, metavar=("PEER", "PLACE", "ROWS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        one(Path(given.one[0]), int(given.one[1]), int(given.one[2]))
    elif given.prepare is not None:
        prepare(Path(given.prepare[0]), given.prepare[1], int(given.prepare[2]))
    elif given.peer is not None:
        peer(given.peer[0], Path(given.peer[1]), int(given.peer[2]))
    else:
        compare(given)


def compare(given: argparse.Namespace) -> None:
    work = given.folder or Path(tempfile.mkdtemp(prefix="medspark-explaining-"))
    rows = int(given.millions * 1e6)
    place = work / f"{given.network}-{rows}"
    if not (place / "ready").exists():
        run([sys.executable, __file__, "--prepare", str(place), given.network, str(rows)], {})
    facts = json.loads((bundle_of(place) / "explain.json").read_text())
    off = facts["errors"][str(facts["nodes"])] / facts["logit_range"]
    print(f"{rows:,} rows of 64 numbers, {given.network} network, {given.cores} cores", flush=True)
    print(f"{facts['nodes']} nodes, which miss {off:.1e} of the range of the logits", flush=True)
    command = [sys.executable, __file__, "--one", str(place), str(given.cores), str(1 + given.repeat)]
    done = watch(command, {"MEDSPARK_MASTER": f"local[{given.cores},4]"})
    marks = done["marks"]
    lasted = [stop - start for start, stop in zip(marks[0:-1:2], marks[1::2], strict=True)]
    ours = rows / statistics.median(lasted[1:]) / given.cores
    cpus = [stop - start for start, stop in zip(done["cpu"][0:-1:2], done["cpu"][1::2], strict=True)]
    of_cpu = rows / statistics.median(cpus[1:])
    print(f"medspark: {ours:,.0f} rows/s a core, warm")
    print(f"a worker took at most {done['worker'] / 2**20:.0f} MB; {done['explained']}")
    print("\n| way | rows a second of CPU | medspark is |\n|---|---|---|")
    print(f"| medspark, scored, explained and written | {of_cpu:,.0f} | 1 × |")
    for name, sample in (
        ("permutation", given.sample),
        ("gradient", given.sample),
        ("lime", max(1, given.sample // 4)),
    ):
        found = watch([sys.executable, __file__, "--peer", name, str(place), str(sample)], {})
        print(f"| {found['way']} | {found['rate']:,.1f} | {of_cpu / found['rate']:,.0f} × |", flush=True)
    if given.folder is None:
        shutil.rmtree(work)


def prepare(place: Path, network: str, rows: int) -> None:
    """A bundle that explains, and a store with tensors as `medspark encode` writes them."""
    from medspark.bundles.bundle import load_bundle
    from medspark.score.serve import statistics_digest
    from medspark.spark.session import start_session
    from medspark.store.facts import TensorsFacts, write_facts
    from medspark.store.tables import publish

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    write_bundle(place, network)
    spark = start_session("prepare")
    tensors = str(place / "store" / "tensors" / "benchmark")
    write_tensors(spark, tensors, made_statistics("64"), rows)
    facts = TensorsFacts(statistics_digest(load_bundle(bundle_of(place))), rows, "benchmark")
    write_facts(spark.sparkContext, tensors, facts)
    publish(spark.sparkContext, str(place / "store"), ["tensors"], "benchmark")
    (place / "ready").touch()


def write_bundle(place: Path, network: str) -> None:
    """A network of drawn weights, hidden layers of 128 and 64, or the default one, which learned nothing either."""
    import keras

    from medspark.bundles.bundle import (
        CALIBRATION,
        KERAS,
        LITERT,
        METRICS,
        REPORT,
        SCHEMA,
        STATISTICS,
        TASK,
        save_bundle,
    )
    from medspark.encode.statistics import to_json
    from medspark.score.worker.calibration import Calibration, of_one
    from medspark.task.tasks import dump_task
    from medspark.task.training import Network
    from medspark.train.explain import export_explanations
    from medspark.train.export import export_litert
    from medspark.train.networks.build import build_network, serving_network

    fitted, task = made_statistics("64"), made_task(made_statistics("64"))
    keras.utils.set_random_seed(0)
    sample = draw(fitted, 0, 2000)
    settings = Network(kind="plain", members=1, hidden=(128, 64)) if network == "plain" else Network()
    served = serving_network(build_network(fitted, settings, 0.0, 0, sample))
    rng = np.random.default_rng(0)
    for weight in served.weights:
        weight.assign(weight + 0.02 * rng.standard_normal(weight.shape).astype(np.float32))

    def fill(folder: Path) -> dict[str, Any]:
        served.save(folder / KERAS)
        if export_litert(served, folder / LITERT, sample).difference is None:
            sys.exit("LiteRT does not serve the benchmark's network")
        calibration = of_one(Calibration(method="none"))
        texts = {TASK: dump_task(task), STATISTICS: to_json(fitted), SCHEMA: "{}", METRICS: "{}", REPORT: "<html/>"}
        texts[CALIBRATION] = json.dumps(calibration.to_dict())
        for name, text in texts.items():
            (folder / name).write_text(text)
        export_explanations(folder, served, fitted, calibration, task, sample, draw(fitted, 1, 512))
        return {"created_at": "benchmark"}

    save_bundle(place / "bundles", fill)


def made_task(fitted: Any) -> Any:
    """A task with those numbers."""
    from medspark.task.load import check_task

    columns = {feature.column: {"type": "double", "unit": "mg/dL"} for feature in fitted.numeric}
    source = {"kind": "table", "path": "unset", "format": "parquet", "case": "id", "subject": "subject"}
    task, problems = check_task(
        {
            "task": "explaining",
            "title": "Explaining at scale",
            "source": source,
            "columns": {"id": {"type": "long"}, "subject": {"type": "long"}, "y": {"type": "boolean"}, **columns},
            "outcome": {"name": "y", "when": "y"},
            "features": {"numeric": [feature.column for feature in fitted.numeric]},
            "risk_bands": {"raised": 0.4, "high": 0.6},
        }
    )
    if task is None:
        sys.exit(f"the benchmark's task is wrong: {problems}")
    return task


def one(place: Path, cores: int, times: int) -> None:
    """Score and explain `times` times, each into a folder of its own, marking when each begins and is done."""
    from rich.console import Console

    from medspark.bundles.bundle import load_bundle
    from medspark.runs.receipt import Receipt
    from medspark.runs.run import Run
    from medspark.score.explain_options import Ask
    from medspark.spark.session import start_context
    from medspark.stages.score import score_tensors_stage

    context, quiet = start_context("medspark"), Console(quiet=True)
    told: dict[str, Any] = {}
    for at in range(times):
        out = place / f"out-{at}"
        shutil.rmtree(out, ignore_errors=True)
        mark()
        ran = Run(context, str(out), quiet, Receipt("score", f"out-{at}", {}), quiet)
        score_tensors_stage(ran, load_bundle(bundle_of(place)), str(place / "store"), ask=Ask(5))
        mark()
        told = ran.receipt.counts["score"]["explained"]
        time.sleep(2.5)  # so that memory is looked at
        shutil.rmtree(out)
    print(json.dumps({"explained": told}), flush=True)


def peer(name: str, place: Path, rows: int) -> None:
    """Explain some rows by one of the libraries, on one core, and print how many a second of CPU."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
    from medspark.score.worker.engine import litert_engine

    fitted, bundle = made_statistics("64"), bundle_of(place)
    engine = litert_engine(bundle / "model.tflite", num_threads=1)
    cases, background = draw(fitted, 7, rows)["numeric"], draw(fitted, 8, BACKGROUND)["numeric"]
    logit = lambda numbers: engine({"numeric": np.asarray(numbers, np.float32)})[:, 0]  # noqa: E731
    if name == "lime":
        from lime.lime_tabular import LimeTabularExplainer

        explainer = LimeTabularExplainer(background, mode="regression", random_state=0)
        explain = lambda: [explainer.explain_instance(case, logit, num_features=5) for case in cases]  # noqa: E731
        way = "lime, LimeTabularExplainer"
    elif name == "permutation":
        import shap

        shap_of = shap.PermutationExplainer(logit, background, seed=0)
        explain, way = lambda: shap_of(cases, silent=True), "shap, PermutationExplainer"
    else:
        import keras
        import shap

        model = keras.saving.load_model(bundle / "model.keras", compile=False)
        alone = keras.Input((cases.shape[1],))
        model = keras.Model(alone, model({"numeric": alone}))
        by_gradient = shap.GradientExplainer(model, background)
        explain, way = lambda: by_gradient.shap_values(cases), "shap, GradientExplainer"
    explain()  # compiled, and warm
    begun = time.process_time()
    explain()
    print(json.dumps({"way": way, "rate": rows / (time.process_time() - begun)}), flush=True)


if __name__ == "__main__":
    main()
