"""Find the files that ship with Touchline: playbooks and example data."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder, such as ``playbooks`` or ``examples/x.jsonl``.

    A wheel carries them beside this module, a checkout one folder up.

    Raises:
        FileNotFoundError: nothing of that name ships with this version.
    """
    for root in (_HERE, _HERE.parent):
        path = root / relative
        if path.exists():
            return path
    raise FileNotFoundError(f"{relative} does not ship with this version of touchline")
