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

from medspark.train.agreement import compared

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
        agreed = compared(*aligned(found[given.methods[0]], found[method])).values()
        print(f"| {method} | {' | '.join('-' if value is None else f'{value:.3f}' for value in agreed)} |")
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


def aligned(one: dict[Any, Case], other: dict[Any, Case]) -> list[np.ndarray]:
    """The contributions of two methods (cases, items) of the cases that both have, each case's items its own."""
    items = [(case, [*(one[case].keys() | other[case].keys())]) for case in one.keys() & other.keys()]
    tables = [np.zeros((len(items), max((len(own) for _, own in items), default=0))) for _ in range(2)]
    for row, (case, own) in enumerate(items):
        for table, found in zip(tables, (one, other), strict=True):
            table[row, : len(own)] = [found[case].get(item, 0.0) for item in own]
    return tables


if __name__ == "__main__":
    main()
