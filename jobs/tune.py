"""spark-submit jobs/tune.py ... : the same arguments as `medspark tune`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["tune", *sys.argv[1:]], prog_name="medspark")
