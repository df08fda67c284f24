"""What the tests of cleaning share."""

from support.cleaning import clean_path as clean_path
from support.cleaning import clean_text as clean_text
from support.cleaning import records_of as records_of
from support.cleaning import set_aside as set_aside
