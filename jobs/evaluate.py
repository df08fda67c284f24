"""spark-submit jobs/evaluate.py ... : the same arguments as `medspark evaluate`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["evaluate", *sys.argv[1:]], prog_name="medspark")
