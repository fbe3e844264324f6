"""A file that a command writes is there when it is whole, and not before."""

import os
from pathlib import Path

import pytest

from streams.cli.whole_file import open_whole


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    """Until the block ends, what was there before is what is there."""
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"before")
    with open_whole(file) as stream:
        stream.write(b"after")
        assert file.read_bytes() == b"before"
    assert file.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [file]


def test_an_interrupted_file_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C or an error leaves no half file, whole-looking or other."""

    def interrupted() -> None:
        with open_whole(tmp_path / "log.jsonl") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_no_folder_is_named_as_it_was_written(tmp_path: Path) -> None:
    """Nobody has asked for a part."""
    file = tmp_path / "nowhere" / "log.jsonl"
    with pytest.raises(FileNotFoundError) as raised, open_whole(file):
        pytest.fail("there is no such folder")
    assert raised.value.filename == str(file)


def test_the_target_of_a_link_is_replaced(tmp_path: Path) -> None:
    """A link to where the file is kept stays a link."""
    kept, link = tmp_path / "kept.jsonl", tmp_path / "log.jsonl"
    link.symlink_to(kept)
    with open_whole(link) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert kept.read_bytes() == b"new"


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    """A named pipe, or a device, is not put aside for a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open_whole(pipe) as stream:
            stream.write(b"lines")
        assert os.read(reader, 100) == b"lines"
        assert pipe.is_fifo()
    finally:
        os.close(reader)
