"""What a clinician reads of a gene: the letter, and where it stands. No Spark here."""

from medspark.encode.kinds.genes import LETTERS, GeneStatistics
from medspark.encode.worker.tensors import Arrays
from medspark.score.worker.explanations.about import About, Said
from medspark.score.worker.explanations.layout import Block, Ints


def say_genes(
    feature: GeneStatistics, block: Block, tensors: Arrays, rows: Ints, items: Ints, about: About
) -> list[Said]:
    """Letters by their place, from 1, among those that reach the network, on either strand."""
    strands = [one.name for one in feature.inputs()]
    found: list[Said] = []
    for row, at in zip(rows.tolist(), (items - block.first).tolist(), strict=True):
        strand, place = divmod(at, feature.length)
        letter = LETTERS[tensors[strands[strand]][row, place]]
        side = " of the reverse complement" if strand else ""
        found.append((f"position {place + 1}{side}", letter))
    return found
