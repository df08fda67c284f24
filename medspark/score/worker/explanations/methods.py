"""Ways to divide a logit among a case's items, over one interface: gradients, and those of the libraries shap and lime.

All start from the same baseline. Of SHAP and LIME an item is there or it is not, and then has the baseline's values.
No Spark here.
"""

from pathlib import Path

from medspark.score.worker.engine import Engine, EngineKind
from medspark.score.worker.explanations.facts import ExplainFacts, Method
from medspark.score.worker.explanations.integrated import Explainer, by_gradients, slopes_by
from medspark.score.worker.explanations.layout import layout_of
from medspark.score.worker.explanations.sampled import by_lime, by_shap
from medspark.score.worker.predict import Served, statistics_of


def explainer_for(
    method: Method, kind: EngineKind, network: Path, digest: str, facts: ExplainFacts, served: Served, engine: Engine
) -> Explainer:
    """How cases are explained.

    Args:
        method: the way.
        kind: of the slopes' network, of gradients.
        network: its file.
        digest: of that file.
        facts: the bundle's.
        served: the bundle's scoring network, and the statistics.
        engine: the scoring network's.

    Raises:
        MedsparkError: a library is not installed.
    """
    if method == "gradients":
        layout = layout_of(statistics_of(served))
        return by_gradients(slopes_by(kind, network, digest, facts, served), facts, layout)
    return (by_shap if method == "shap" else by_lime)(facts, served, engine)
