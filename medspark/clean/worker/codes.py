"""Diagnosis codes in one spelling, as `medspark.clean.kinds.codes` writes them. No Spark here."""

import re
from typing import Final

from medspark.task.columns import CodeColumn

_ICD9: Final = re.compile(r"(?:[0-9]{3}|V[0-9]{2}|E[0-9]{3})(?:\.[0-9]{1,2})?")
_ICD9_UNDOTTED: Final = re.compile(r"(E[0-9]{3}|[0-9V][0-9]{2})([0-9]{1,2})")
_ICD10: Final = re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?")
_ICD10_UNDOTTED: Final = re.compile(r"([A-Z][0-9][0-9A-Z])([0-9A-Z]{1,4})")


def code_of(text: str, spec: CodeColumn) -> str | None:
    """A code, or its category; None where the text is none. The text is ASCII's.

    >>> icd9, icd10 = CodeColumn(type="code", system="ICD9CM"), CodeColumn(type="code", system="ICD10CM")
    >>> [code_of(text, icd9) for text in ("25083", "8", "v4581", "e8859", "8.1", "see letter")]
    ['250.83', '008', 'V45.81', 'E885.9', '008.1', None]
    >>> code_of("e119", icd10), code_of("e119", icd10.model_copy(update={"roll_up": "category"}))
    ('E11.9', 'E11')
    """
    if spec.system == "ICD9CM":
        undotted, pattern = _ICD9_UNDOTTED, _ICD9
    else:
        undotted, pattern = _ICD10_UNDOTTED, _ICD10
    upper = text.upper()
    found = undotted.fullmatch(upper)
    code = f"{found[1]}.{found[2]}" if found else upper
    if spec.system == "ICD9CM":
        digits = re.match("[0-9]*", code)
        leading = len(digits[0]) if digits else 0
        code = "0" * (3 - leading) + code if 1 <= leading <= 2 else code
    if not pattern.fullmatch(code):
        return None
    return code.partition(".")[0] if spec.roll_up == "category" else code
