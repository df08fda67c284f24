"""The rules of a whole record, and what each expects. No Spark here."""

from typing import Final

BAD_FIELDS: Final = "record: fields"
BAD_QUOTE: Final = "record: quote"
REPEATED_HEADER: Final = "record: header"
OTHER_HEADER: Final = "record: other header"
"""The columns' names in another order: which value below is which column's cannot be known, so the run ends."""
OTHER_TABLE: Final = "record: other table"
BAD_ENCODING: Final = "record: encoding"
BAD_JSON: Final = "record: json"
UNKNOWN_KEY: Final = "record: unknown key"
REPEATED_KEY: Final = "record: repeated key"
OTHER_RESOURCE: Final = "record: resource"
UNREADABLE_RESOURCE: Final = "record: view"
NO_ROW: Final = "record: no row"
"""Of a resource that a view makes no row of: it is passed over, not set aside."""
DUPLICATE: Final = "duplicate"
"""Of a row written again, and the status that it gets."""

RECORD_REASONS: Final = {
    BAD_FIELDS: "expected one field for each column",
    BAD_QUOTE: "expected every quote to be closed within its field, and none unpaired: is a delimiter lost before it?",
    REPEATED_HEADER: "expected a header nowhere but in the first line",
    OTHER_HEADER: "expected a header nowhere but in the first line, received one of other columns or another order",
    OTHER_TABLE: "expected values of the columns' types, received not one: is another table under the first?",
    BAD_ENCODING: "expected text in the source's encoding",
    BAD_JSON: "expected one JSON object",
    UNKNOWN_KEY: "expected only keys that are columns of the task, spelt alike",
    REPEATED_KEY: "expected each key once",
    OTHER_RESOURCE: "expected a resource of the type that the view reads",
    UNREADABLE_RESOURCE: "expected a resource that the view's paths can be followed in, with one value where they say "
    "one",
    DUPLICATE: "the same case, written more than once; another copy counts",
}
"""What each rule of a whole record expects. A reason never holds a patient's value."""
