"""python -m penstock_cli: the same as ``penstock``."""

from penstock_cli.main import app

if __name__ == "__main__":
    app(prog_name="penstock")
