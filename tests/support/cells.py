"""Cells of tables by chance, many with letters that CSV treats apart."""

from hypothesis import strategies as st

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
TRICKY = st.text(st.sampled_from('",\n\r \\ab\t;|é\ufeff\u2028'), max_size=8)
CELLS = st.lists(st.tuples(CELL | TRICKY, CELL | TRICKY), min_size=1, max_size=30)
