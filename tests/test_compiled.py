"""The fold as machine code: optional, told plainly where it cannot be, and the same to the byte."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLD = Path(__file__).with_name("fold_and_print.py")
COMPILER = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]


def compile_into(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the step that `make compile` runs."""
    command = [sys.executable, str(ROOT / "deploy/compile.py"), str(folder)]
    return subprocess.run(
        command, env={**os.environ, **environment}, text=True, capture_output=True, check=False
    )


def folded_by(packages: Path) -> tuple[str, str]:
    """Fold with the packages of a folder; return which fold it was, and what came of it."""
    path = os.pathsep.join((str(packages), str(ROOT / "benchmarks")))
    run = subprocess.run(
        [sys.executable, str(FOLD)],
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr.strip(), run.stdout


def test_without_a_compiler_the_cause_and_the_cure_are_said(tmp_path: Path) -> None:
    """Who has no C compiler reads so, and that nothing needs it; nothing is left behind."""
    run = compile_into(tmp_path / "compiled", CC="no-such-compiler")

    assert run.returncode == 1
    assert "no C compiler (no-such-compiler)" in run.stderr
    assert "does not need it" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    """A mistyped folder is refused, and stays as it was."""
    (tmp_path / "letter.txt").write_text("dear Ann")

    run = compile_into(tmp_path)

    assert run.returncode == 1
    assert "holds something else" in run.stderr
    assert (tmp_path / "letter.txt").read_text() == "dear Ann"


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"no C compiler ({COMPILER})")
def test_the_compiled_fold_comes_to_the_same_to_the_byte(tmp_path: Path) -> None:
    """Facts, actions, profiles and rows of a disordered log are those of the plain modules."""
    folder = tmp_path / "compiled"

    run = compile_into(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    plain, expected = folded_by(ROOT)
    compiled, came = folded_by(folder)

    assert plain == str(ROOT / "processors/fold.py")
    assert Path(compiled).parent == folder / "processors"
    assert compiled.endswith(sysconfig.get_config_var("EXT_SUFFIX"))
    assert expected.count("\n") > 10_000
    assert came == expected
