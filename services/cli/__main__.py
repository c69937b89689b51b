"""`secondlook`: the console script. It imports nothing that an extra brings before it can say what is missing."""

import sys
from importlib.metadata import version

USAGE_STATUS = 2


def main() -> None:
    """Run the command line. A missing package is one line on standard error and exit status 2."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"secondlook {version('second-look')}\n")
        return
    try:
        from secondlook.cli.application import app

        app(prog_name="secondlook")
    except ModuleNotFoundError as error:
        package = (error.name or "secondlook").partition(".")[0]
        if package == "secondlook":
            raise
        sys.stderr.write(f"error: the package {package} is not installed; run: pip install 'second-look[all]'\n")
        sys.exit(USAGE_STATUS)


if __name__ == "__main__":
    main()
