"""spark-submit jobs/clean.py ... : the same arguments as `medspark clean`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["clean", *sys.argv[1:]], prog_name="medspark")
