"""spark-submit jobs/score.py ... : the same arguments as `medspark score`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["score", *sys.argv[1:]], prog_name="medspark")
