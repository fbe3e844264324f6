"""Find the files that ship with Touchline: playbooks and example data."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOTS = (_HERE / "data", _HERE.parent)


def shipped(relative: str) -> Path:
    """Return the path of a shipped file or folder, such as ``playbooks`` or ``examples/x.jsonl``.

    A wheel carries them in ``schemas/data``, a checkout at its root.

    Raises:
        FileNotFoundError: nothing of that name ships with this version.
    """
    for root in _ROOTS:
        path = root / relative
        if path.exists():
            return path
    raise FileNotFoundError(f"{relative} does not ship with this version of touchline")
