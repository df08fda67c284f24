"""How far SHAP and LIME agree with integrated gradients on a bundle's riskiest cases, and what each costs.

    medspark run conf/tasks/readmission-diabetes130.yaml --store store
    python benchmarks/agreement.py store/readmission-diabetes130/bundles/ID --share 0.01

The same command scores and explains the bundle's own source by each method, in Spark's workers; every contribution that
is not 0 is kept. Rank correlation is Spearman's over the items of a case, by the size of their contributions; top-5
overlap the share of the five largest that two methods have in common; both are means over the cases. Seconds are those
of the explaining alone, as the receipts tell them by the difference to a run without.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr

MEDSPARK = Path(sys.executable).parent / "medspark"
METHODS = ("gradients", "shap", "lime")
Case = dict[tuple[str, str | None, str], float]
"""The contributions of one case by feature, item and value."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--share", type=float, default=0.01, help="of the scores, the largest")
    parser.add_argument("--source", help="what to score in place of the bundle's own source")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="medspark-agreement-"))
    encoded = work / "encoded"
    source = ["--source", given.source] if given.source else []
    run(["encode", str(given.bundle), "--to", str(encoded), *source])
    plain = score(given, work / "plain", encoded, [])["seconds"]["score"]
    found: dict[str, dict[Any, Case]] = {}
    print("| method | cases | seconds | cases a second | do not add up |\n|---|---|---|---|---|")
    for method in given.methods:
        asked = ["--explain", "top:1000", "--explain-share", str(given.share), "--explain-by", method]
        receipt = score(given, work / method, encoded, asked)
        counts, seconds = receipt["counts"]["score"]["explained"], max(receipt["seconds"]["score"] - plain, 1e-3)
        found[method] = read(receipt["outputs"]["explanations"])
        each = counts["cases"] / seconds
        off = "-" if method == "lime" else counts["do_not_add_up"]
        print(f"| {method} | {counts['cases']:,} | {seconds:.1f} | {each:,.1f} | {off} |", flush=True)
    print("\n| | rank correlation with gradients | top-5 overlap | first the same |\n|---|---|---|---|")
    for method in given.methods[1:]:
        print(
            f"| {method} | {' | '.join(f'{value:.3f}' for value in compared(found[given.methods[0]], found[method]))} |"
        )
    shutil.rmtree(work)


def run(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(MEDSPARK), *command, "--json"], capture_output=True, text=True, env=os.environ, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    receipt: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{\n") :])
    return receipt


def score(given: argparse.Namespace, out: Path, encoded: Path, asked: list[str]) -> dict[str, Any]:
    return run(["score", str(given.bundle), "--to", str(out), "--tensors", str(encoded), *asked])


def read(place: str) -> dict[Any, Case]:
    cases: dict[Any, Case] = {}
    columns = ["case_id", "feature", "item", "value", "contribution"]
    for row in pq.read_table(place.removeprefix("file:"), columns=columns).to_pylist():
        items = cases.setdefault(row["case_id"], {})
        items[row["feature"], row["item"], row["value"]] = row["contribution"]
    return cases


def compared(one: dict[Any, Case], other: dict[Any, Case]) -> tuple[float, float, float]:
    """Rank correlation, top-5 overlap, and how often the largest is the same, over the cases that both have."""
    rank, overlap, first = [], [], []
    for case in one.keys() & other.keys():
        items = [*(one[case].keys() | other[case].keys())]
        sizes = [np.abs([found[case].get(item, 0.0) for item in items]) for found in (one, other)]
        if len(items) < 3:
            continue
        rank.append(spearmanr(*sizes).statistic)
        tops = [{items[at] for at in np.argsort(-size, kind="stable")[:5]} for size in sizes]
        overlap.append(len(tops[0] & tops[1]) / min(5, len(items)))
        first.append(np.argmax(sizes[0]) == np.argmax(sizes[1]))
    return float(np.nanmean(rank)), float(np.mean(overlap)), float(np.mean(first))


if __name__ == "__main__":
    main()
