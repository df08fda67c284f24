"""Small networks of made-up tables, what explains them, and Shapley values by trying every coalition."""

import math
from itertools import combinations
from typing import Any, NamedTuple

import keras
import numpy as np

from medspark.encode.kinds.table import CategoricalStatistics, CodesStatistics, NumericStatistics
from medspark.encode.statistics import Statistics, to_json
from medspark.score.worker.calibration import Calibration, of_one
from medspark.score.worker.engine import litert_engine
from medspark.score.worker.explanations.explain import Explaining
from medspark.score.worker.explanations.facts import read_explain_facts
from medspark.score.worker.explanations.methods import explainer_for
from medspark.score.worker.predict import Served, sealed
from medspark.task.training import Network
from medspark.train.explain import export_explanations
from medspark.train.export import export_litert
from medspark.train.networks.build import build_network, serving_network


def numeric(name, **changes):
    settings: dict[str, Any] = {
        "column": name, "scaling": "standard", "center": 0, "scale": 1, "knots": (0,) * 13, "impute": 0,
        "missing_indicator": False, "mean": 0, "sd": 1, "missing_share": 0,
    }  # fmt: skip
    return NumericStatistics(**(settings | changes))


TABLE = Statistics(
    cases=1000,
    numeric=(numeric("age", center=60, scale=10), numeric("creatinine", missing_indicator=True), numeric("ignored")),
    categorical=(CategoricalStatistics(column="sex", levels=("F", "M"), counts=(5, 5), rare=0, missing_share=0),),
    codes=(
        CodesStatistics(
            name="diagnoses", columns=("d1", "d2"), codes=("I50", "E11", "J44"), counts=(9, 9, 9), rare=0,
            missing_share=0,
        ),
    ),
)  # fmt: skip


def tensors_of(cases, seed=0):
    """Cases of TABLE: three numbers and a mark of missing, a sex, and two codes or fewer."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(cases, 4)).astype(np.float32)
    numbers[:, 3] = rng.random(cases) < 0.2
    numbers[numbers[:, 3] > 0, 1] = 0
    sex = rng.integers(0, 4, (cases, 1)).astype(np.int32)
    codes = np.sort(rng.integers(0, 5, (cases, 2)), axis=1)[:, ::-1].astype(np.int32)
    return {"numeric": numbers, "categories": sex, "codes_diagnoses": codes}


class Made(NamedTuple):
    """A network's files, and what a worker gets."""

    served: Served
    asked: Explaining
    facts: Any
    folder: Any
    network: Any

    def engine(self):
        return litert_engine(self.folder / "model.tflite")

    def explain(self, tensors, logit, method="gradients"):
        asked = self.asked
        found = explainer_for(
            method, asked.kind, self.folder / asked.network, asked.digest, self.facts, self.served, self.engine()
        )
        return found(tensors, logit)


def drawn(statistics, tensors, seed=0, scale=1.0, **settings):
    """A network with weights that are drawn, not learned."""
    settings = {"members": 2, "hidden": (12, 8), "dropout": 0.0} | settings
    network = serving_network(build_network(statistics, Network(**settings), 0.0, seed, tensors))
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        weight.assign(weight + rng.normal(size=weight.shape).astype(np.float32) * 0.3 * scale)
    return network


def made(folder, network, statistics, tensors, task, calibration=None, top=5):
    """The files of a network that is served and explained, as a bundle has them."""
    import hashlib

    calibration = calibration or of_one(Calibration("platt", slope=1.1, intercept=-0.5))
    assert export_litert(network, folder / "model.tflite", tensors).difference is not None
    network.save(folder / "model.keras")
    export_explanations(folder, network, statistics, calibration, task, tensors, tensors)
    text = (folder / "explain.json").read_text()
    digest = lambda name: hashlib.sha256((folder / name).read_bytes()).hexdigest()  # noqa: E731
    served = Served(
        "litert", str(folder / "model.tflite"), digest("model.tflite"), to_json(statistics), calibration,
        bands={"high": 0.5}, reads="tensors",
    )  # fmt: skip
    name = "explain.tflite" if (folder / "explain.tflite").exists() else "model.keras"
    kind = "litert" if name == "explain.tflite" else "tensorflow"
    asked = Explaining(kind, str(folder / name), digest(name), text, hashlib.sha256(text.encode()).hexdigest(), top=top)
    return Made(sealed(served), asked, read_explain_facts(text), folder, network)


def without(network, name, column):
    """The network with the weights of one number set to 0, so that it is never read."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense) and layer.kernel.shape[0] >= 4:
            kernel = layer.kernel.numpy()
            kernel[column] = 0
            layer.kernel.assign(kernel)
    return network


def shapley(game, items):
    """Exact values of a game of which players are there, by every coalition (Shapley 1953)."""
    values = np.zeros(items)
    for player in range(items):
        others = [one for one in range(items) if one != player]
        for size in range(items):
            weight = math.factorial(size) * math.factorial(items - size - 1) / math.factorial(items)
            for coalition in combinations(others, size):
                mask = np.zeros((2, items), bool)
                mask[:, list(coalition)] = True
                mask[1, player] = True
                before, after = game(mask)
                values[player] += weight * (after - before)
    return values
