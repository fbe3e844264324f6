"""Compile the pure fold to machine code with mypyc: optional, and the same to the byte.

    python deploy/compile.py [FOLDER]          (`make compile`; FOLDER is build/compiled)

The folder gets a whole copy of Touchline, as its wheel has it, with `processors` as extension
modules for this Python on this machine. It is used by putting it in front of the path:

    PYTHONPATH=build/compiled .venv/bin/touchline worker ...

Not with `python -m` or `-c` in the checkout: Python puts the folder it is in before the path.

The checkout stays plain Python: what you edit is what its tests and commands run. The copy is of
one moment; after a change, or a `git pull`, compile again or leave the path away.

Needs a C compiler, the headers of this Python, mypy and setuptools; running the result needs none.
"""

import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from contextlib import chdir, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT / "build/compiled"
PLAIN = ("__init__", "errors")
"""Modules that stay Python: mypyc compiles no exceptions, and these two cost nothing."""
_MADE = "touchline_processors__mypyc*"


def require_compiler() -> None:
    """End the program with the cause and the cure where nothing can be compiled."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(command) is None:
        raise SystemExit(
            f"there is no C compiler ({command}): install one, such as gcc, or set CC. Touchline "
            "does not need it: plain Python does the same, more slowly"
        )
    headers = Path(sysconfig.get_path("include"), "Python.h")
    if not headers.exists():
        raise SystemExit(f"the headers of this Python are missing ({headers}): install python3-dev")


def copy_packages(into: Path) -> None:
    """Copy what the wheel has, to where the wheel has it."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = wheel["tool"]["hatch"]["build"]["targets"]["wheel"]
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
    for name in target["only-include"]:
        shutil.copytree(ROOT / name, into / target["sources"].get(name, name), ignore=ignored)


def compile_processors(into: Path) -> None:
    """Put an extension module beside each module of ``processors`` that can be one."""
    # Imported here: whoever has no compiler is told so first.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415

    modules = sorted(
        str(path.relative_to(into))
        for path in (into / "processors").glob("*.py")
        if path.stem not in PLAIN
    )
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", os.devnull]
    with chdir(into), tempfile.TemporaryDirectory() as scratch:
        said = io.StringIO()
        try:
            with redirect_stdout(said):  # it warns of each generator that it turns into a list
                extensions = mypycify(
                    [*config, *modules],
                    opt_level="3",
                    debug_level="0",
                    target_dir=scratch,
                    group_name="touchline_processors",
                )
        except SystemExit as error:
            raise SystemExit(f"mypyc cannot compile this:\n{said.getvalue()}") from error
        built = Distribution({"name": "touchline-compiled", "ext_modules": extensions})
        command = built.get_command_obj("build_ext")
        command.inplace, command.build_temp = True, scratch
        command.ensure_finalized()
        command.run()


def check(folder: Path) -> str:
    """Return the file that the fold is imported from with the folder in front of the path."""
    code = "import processors.fold as fold, streams.cli as cli; print(cli.__file__, fold.__file__)"
    path = {**os.environ, "PYTHONPATH": str(folder)}
    # Not in the checkout, whose own modules `-c` would find first.
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=path, check=True, capture_output=True
    )
    cli, fold = run.stdout.decode().split()
    if not (cli.startswith(str(folder)) and fold.endswith(sysconfig.get_config_var("EXT_SUFFIX"))):
        raise SystemExit(f"compiled, but Python imports {fold} and {cli}: look into {folder}")
    return fold


def main() -> None:
    """Read the command line, compile, say how to use it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else DEFAULT).resolve()
    if folder.exists() and any(folder.iterdir()) and not any(folder.glob(_MADE)):
        raise SystemExit(f"{folder} holds something else: name an empty folder, or a new one")
    require_compiler()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as new:
        fresh = Path(new, "compiled")
        copy_packages(fresh)
        compile_processors(fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    print(f"compiled: {check(folder)}")
    print(f"to use it: PYTHONPATH={folder} touchline ...")


if __name__ == "__main__":
    main()
