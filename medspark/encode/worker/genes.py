"""Gene sequences to tensors: the letters of one Arrow batch as ids. No Spark here.

Bytes in, ids out, by one table: no row is looked at by itself.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from medspark.encode.kinds.genes import ANY_ID, LETTERS, GeneStatistics, Keep, complement_of
from medspark.encode.worker.flat import Ints, Shares

_NONE: Final = -1
"""Of a byte that is no letter: white space, and what follows the first byte of a letter in UTF-8."""

Ids = npt.NDArray[np.int32]


def _ids_by_byte() -> Ids:
    ids = np.full(256, ANY_ID, np.int32)
    for letter_id, letter in enumerate(LETTERS):
        if letter_id:
            ids[[ord(letter), ord(letter.lower())]] = letter_id
    ids[[ord("U"), ord("u")]] = LETTERS.index("T")
    ids[[ord(space) for space in " \t\n\v\f\r"]] = _NONE
    ids[0x80:0xC0] = _NONE
    return ids


BY_BYTE: Final = _ids_by_byte()
COMPLEMENT: Final = np.array([complement_of(letter_id) for letter_id in range(len(LETTERS))], np.int32)


def encode_genes(batch: pa.RecordBatch, genes: Sequence[GeneStatistics]) -> Shares:
    """`gene_NAME` of each gene, (n, length) int32, and `reverse_NAME` of its reverse complement where both are read.

    The part of a sequence that is kept is of each strand as it is read, so that a sequence and its reverse complement
    change the two over, however long they are.
    """
    for gene in genes:
        for found, strand in zip(gene.inputs(), _strands(batch.column(gene.column), gene), strict=False):
            yield found.name, strand


def _strands(column: pa.Array, gene: GeneStatistics) -> tuple[Ids, ...]:
    row, ids, lengths = letters_of(column)
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shape = (len(column), gene.length)
    strand = _laid(ids, row, place, lengths, gene.keep, shape)
    if not gene.reverse_complement:
        return (strand,)
    return strand, _laid(COMPLEMENT[ids], row, lengths[row] - 1 - place, lengths, gene.keep, shape)


def letters_of(column: pa.Array) -> tuple[Ints, Ids, Ints]:
    """Of texts the row and the id of each letter, (m,), in their order, and how many letters each row has, (n,).

    Lower case is read as upper, U as T, what is no letter of IUPAC's as N; white space is passed over.

    >>> [found.tolist() for found in letters_of(pa.array(["ac G", None, "u?"]))]
    [[0, 0, 0, 2, 2], [1, 2, 4, 8, 15], [3, 0, 2]]
    """
    text = pc.fill_null(column.cast(pa.large_string()), "")
    _, ends, content = text.buffers()
    offsets = np.frombuffer(ends, np.int64, len(text) + 1, text.offset * 8) if len(text) else np.zeros(1, np.int64)
    size = int(offsets[-1] - offsets[0])
    data = np.frombuffer(content, np.uint8, size, offsets[0]) if size else np.zeros(0, np.uint8)
    ids = BY_BYTE[data]
    row = np.repeat(np.arange(len(text)), np.diff(offsets))
    is_letter = ids != _NONE
    row = row[is_letter]
    return row, ids[is_letter], np.bincount(row, minlength=len(text))


def _laid(ids: Ids, row: Ints, place: Ints, lengths: Ints, keep: Keep, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Letters (m,) laid into rows of `shape`, the kept part of a longer sequence, and a shorter one where it lies."""
    room = shape[1] - lengths
    first = {"start": np.zeros_like(room), "middle": room // 2, "end": room}[keep]
    place = place + first[row]
    fits = (place >= 0) & (place < shape[1])
    out = np.zeros(shape, np.int32)
    out[row[fits], place[fits]] = ids[fits]
    return out
