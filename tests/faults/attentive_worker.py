"""A real worker that asks the broker each second what its topics are: run as a process.

Argument: the settings as JSON.
"""

import sys

import faust

from streams import faust_app
from streams.app import build_app
from streams.settings import Settings

if __name__ == "__main__":
    faust_app.METADATA_MS = 1000
    app = build_app(Settings.model_validate_json(sys.argv[1]))
    try:
        faust.Worker(app, loglevel="info", redirect_stdouts=False).execute_from_commandline()
    finally:
        sys.exit(1 if app.fatal else 0)
