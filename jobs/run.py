"""spark-submit jobs/run.py ... : the same arguments as `medspark run`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["run", *sys.argv[1:]], prog_name="medspark")
