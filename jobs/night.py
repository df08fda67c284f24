"""spark-submit jobs/night.py ... : the same arguments as `medspark night`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["night", *sys.argv[1:]], prog_name="medspark")
