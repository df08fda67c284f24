"""spark-submit jobs/features.py ... : the same arguments as `medspark features`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["features", *sys.argv[1:]], prog_name="medspark")
