"""spark-submit jobs/train.py ... : the same arguments as `medspark train`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["train", *sys.argv[1:]], prog_name="medspark")
