"""An oracle of cases: plain SQL of DuckDB over the raw tables, written from what the declarations say."""
