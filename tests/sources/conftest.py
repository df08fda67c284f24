"""What the tests of reading share: what is read is seen in what cleaning makes of it."""

from support.cleaning import clean_path as clean_path
from support.cleaning import clean_text as clean_text
from support.cleaning import records_of as records_of
from support.cleaning import refusal as refusal
from support.cleaning import set_aside as set_aside
from support.cleaning import task_of as task_of
