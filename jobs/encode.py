"""spark-submit jobs/encode.py ... : the same arguments as `medspark encode`."""

import sys

from medspark.cli.main import app

if __name__ == "__main__":
    app(args=["encode", *sys.argv[1:]], prog_name="medspark")
