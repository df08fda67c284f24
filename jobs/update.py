"""spark-submit jobs/update.py ... : the same arguments as `medspark update`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["update", *sys.argv[1:]], prog_name="medspark")
