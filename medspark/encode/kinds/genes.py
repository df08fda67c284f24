"""The statistics of gene sequences. No Spark here."""

from typing import ClassVar, Final, Literal

from medspark.encode.inputs import Input
from medspark.encode.kinds.base import ColumnStatistics, OneValue

GENE_PREFIX: Final = "gene_"
REVERSE_PREFIX: Final = "reverse_"
"""Before a gene's name: the names of its inputs, the second of which is there where both strands are read."""

LETTERS: Final = "-ACMGRSVTWYHKDBN"
"""IUPAC's letters (Cornish-Bowden 1985) by their ids, as BAM writes them in four bits (SAM/BAM specification 4.2.3):
A is bit 1, C 2, G 4 and T 8, and a letter that may be several of them has the bits of each. 0 is padding."""
ANY_ID: Final = 15
"""Of N, and of what is no letter of IUPAC's."""

Keep = Literal["start", "middle", "end"]


def bases_of(letter_id: int) -> tuple[float, float, float, float]:
    """The probabilities of A, C, G and T, all alike that the letter may be; of padding all are 0.

    >>> bases_of(LETTERS.index("G")), bases_of(LETTERS.index("Y")), bases_of(0)
    ((0.0, 0.0, 1.0, 0.0), (0.0, 0.5, 0.0, 0.5), (0.0, 0.0, 0.0, 0.0))
    """
    bits = [letter_id >> base & 1 for base in range(4)]
    a, c, g, t = (bit / max(1, sum(bits)) for bit in bits)
    return a, c, g, t


def complement_of(letter_id: int) -> int:
    """The id of what stands opposite, A and T changed over, C and G too: its four bits from the last to the first.

    >>> "".join(LETTERS[complement_of(LETTERS.index(letter))] for letter in "ACGTRN")
    'TGCAYN'
    """
    return int(f"{letter_id:04b}"[::-1], 2)


class GeneStatistics(ColumnStatistics, OneValue):
    """A sequence of nucleotides of a column: nothing of it is fitted, and it is counted what training had."""

    kind: ClassVar[str] = "gene"

    name: str
    length: int
    keep: Keep
    reverse_complement: bool
    longer: int
    """Training cases with more letters than reach the network."""
    odd: int
    """Training cases with a letter that is none of IUPAC's; it is read as N."""
    missing_share: float

    @property
    def title(self) -> str:
        return f"{self.name} ({self.column})"

    @property
    def summary(self) -> str:
        strands = "both strands" if self.reverse_complement else "one strand"
        other = f"; {self.odd:,} with letters that are not IUPAC's, read as N" if self.odd else ""
        return f"the {self.keep} of {self.length} letters, {strands}; {self.longer:,} longer ones cropped{other}"

    def inputs(self) -> tuple[Input, ...]:
        """Its letters' ids, and where both strands are read those of its reverse complement."""
        if not self.varies:
            return ()
        strand = Input(GENE_PREFIX + self.name, self.length, "int32", len(LETTERS), part="gene", plain="positions")
        other = Input(REVERSE_PREFIX + self.name, self.length, "int32", len(LETTERS))
        return (strand, other) if self.reverse_complement else (strand,)
