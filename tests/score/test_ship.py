"""A network's file on its way to the workers."""

import subprocess
import sys


def test_what_a_scoring_worker_imports_is_no_task_no_parser_of_sql_and_no_pandas():
    heavy = "{'sqlglot', 'yaml', 'medspark.task.load', 'medspark.bundles.bundle', 'pandas'}"
    script = f"import sys, medspark.score.ship, medspark.score.worker.row_groups; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
