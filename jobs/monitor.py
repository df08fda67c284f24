"""spark-submit jobs/monitor.py ... : the same arguments as `medspark monitor`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["monitor", *sys.argv[1:]], prog_name="medspark")
