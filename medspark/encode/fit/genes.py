"""What training had of gene sequences, counted in the one pass over the training split."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.encode.fit.numbers import rounded
from medspark.encode.kinds.genes import LETTERS, GeneStatistics
from medspark.schemas import quoted
from medspark.task.features import GeneFeature

_ODD = f"[^{LETTERS.removeprefix('-')}U]"


def genes_aggregates(genes: Mapping[str, GeneFeature]) -> list[Column]:
    """How many cases have a sequence, a longer one, one with odd letters; the first and the last sequence."""
    found = []
    for name, gene in genes.items():
        letters = F.upper(F.regexp_replace(F.col(quoted(gene.column)), r"\s", ""))
        given = F.when(F.length(letters) > 0, letters)
        found += [
            F.count(given).alias(f"with gene {name}"),
            F.count_if(F.length(given) > gene.length).alias(f"longer {name}"),
            F.count_if(given.rlike(_ODD)).alias(f"odd {name}"),
            (F.min(given) < F.max(given)).alias(f"varies {name}"),
        ]
    return found


def fit_genes(genes: Mapping[str, GeneFeature], numbers: dict[str, Any]) -> dict[str, Any]:
    """The statistics by their field.

    Args:
        genes: as in the task.
        numbers: `cases`, their number, and what `genes_aggregates` found.
    """
    return {"genes": tuple(_gene(name, gene, numbers) for name, gene in genes.items())}


def _gene(name: str, gene: GeneFeature, numbers: dict[str, Any]) -> GeneStatistics:
    cases, with_letters = numbers["cases"], numbers[f"with gene {name}"]
    return GeneStatistics(
        column=gene.column,
        name=name,
        length=gene.length,
        keep=gene.keep,
        reverse_complement=gene.reverse_complement,
        longer=numbers[f"longer {name}"],
        odd=numbers[f"odd {name}"],
        missing_share=rounded(1 - with_letters / cases),
        varies=bool(numbers[f"varies {name}"]) or 0 < with_letters < cases,
    )
