"""Diagnosis codes in one spelling. ICD-9-CM and ICD-10-CM as their official guidelines write them."""

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from medspark.clean.steps import Kind, Step, of_column, require_dtype, unchanged
from medspark.task.columns import CodeColumn

_ICD9: Final = r"^(?:[0-9]{3}|V[0-9]{2}|E[0-9]{3})(?:\.[0-9]{1,2})?$"
_ICD9_UNDOTTED: Final = r"^(E[0-9]{3}|[0-9V][0-9]{2})([0-9]{1,2})$"
_ICD10: Final = r"^[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?$"
_ICD10_UNDOTTED: Final = r"^([A-Z][0-9][0-9A-Z])([0-9A-Z]{1,4})$"


def read_code(name: str, spec: CodeColumn, dtype: str) -> Kind:
    require_dtype(name, dtype, spec.type, {"string"})
    normalise = normalise_icd9 if spec.system == "ICD9CM" else normalise_icd10
    step = Step("code", f"a code of {spec.system}", of_column(normalise))
    return Kind("string", [step], of_column(category) if spec.roll_up == "category" else unchanged)


def normalise_icd9(text: Column) -> Column:
    """ICD-9-CM with its dot and leading zeros, upper case; null where it is no such code.

    "25083" and "250.83" give "250.83", "8" gives "008", "v4581" gives "V45.81", "e8859" gives "E885.9".
    """
    dotted = F.regexp_replace(F.upper(text), _ICD9_UNDOTTED, "$1.$2")
    tens = F.regexp_replace(dotted, r"^([0-9])(?![0-9])", "0$1")
    hundreds = F.regexp_replace(tens, r"^([0-9]{2})(?![0-9])", "0$1")
    return _matching(hundreds, _ICD9)


def normalise_icd10(text: Column) -> Column:
    """ICD-10-CM with its dot, upper case; null where it is no such code: "e119" gives "E11.9"."""
    return _matching(F.regexp_replace(F.upper(text), _ICD10_UNDOTTED, "$1.$2"), _ICD10)


def _matching(code: Column, pattern: str) -> Column:
    """The code where it matches, else null, with the code computed once: a match is never empty."""
    return F.get(F.regexp_extract_all(code, F.lit(pattern), F.lit(0)), 0)


def category(code: Column) -> Column:
    """A code's category, the part before its dot: "250.83" gives "250", "E885.9" gives "E885"."""
    return F.substring_index(code, ".", 1)
