"""Images: a path or bytes to pixels, by a Python worker; each reason for none is a rule."""

from functools import partial

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, of_column, require_dtype
from medspark.clean.worker.image_rules import EXPECTED
from medspark.clean.worker.images import Wanted, read_image
from medspark.errors import InputError
from medspark.spark.columns import literal, when
from medspark.store.files import full_path, is_folder
from medspark.task.columns import ImageColumn

_READ = "reason string, pixels binary"


def read_images(name: str, spec: ImageColumn, dtype: str, source: str) -> Kind:
    """Pixels as bytes: height * width * channels of them, row by row.

    Args:
        name: the column's.
        spec: what it says.
        dtype: paths are text, images themselves binary.
        source: the table's path.

    Raises:
        InputError: the column is of another type, or there is no folder to begin at.
    """
    require_dtype(name, dtype, spec.type, {"string", "binary"})
    wanted = Wanted(
        _folder(name, spec, source), *spec.shape, spec.window, spec.frame, stretched=spec.proportions == "stretched"
    )
    # What a file has may change: Spark must not take two readings of it for the same
    read = F.udf(partial(read_image, wanted), _READ, useArrow=False).asNondeterministic()
    outside, *others = (Step(rule, expected, partial(_unless, rule)) for rule, expected in EXPECTED.items())
    return Kind("binary", [outside._replace(apply=of_column(read)), *others], lambda found: f"{found}.pixels")


def _unless(rule: str, found: str) -> str:
    return when(f"NOT {found}.reason <=> {literal(rule)}", found)


def _folder(name: str, spec: ImageColumn, source: str) -> str:
    """Where paths begin, as every machine of a cluster understands it."""
    context = SparkSession.active().sparkContext
    if spec.folder is not None:
        return full_path(context, spec.folder)
    if set(source) & set("*?[{"):
        raise InputError(f"column {name!r}: the source is a pattern, beside which no folder lies; state `folder`")
    place = full_path(context, source)
    return place if is_folder(context, source) else place.rsplit("/", 1)[0]
