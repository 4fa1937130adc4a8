"""Files that are replaced as a whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file so that at any moment, and after any failure, it is wholly new or as it was.

    A temporary file beside it is written, synced and renamed, and then the folder is synced. If writing
    fails, the temporary file is removed; if the process is killed, it stays behind, as `.NAME.*.partial`.
    A symbolic link keeps leading to its file, which is replaced.

    Args:
        path: the file; its folder must be there.
        write: writes the contents into a file that is open for it.

    Raises:
        OSError: what the system says, such as "No space left on device", with the file's name; the old file
            is as it was.
    """
    path = Path(os.path.realpath(path))
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    except OSError as e:
        raise _told(e, "" if path.parent.is_dir() else "; its folder must be there already", path) from None
    try:
        with os.fdopen(handle, "w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException as e:
        os.unlink(temporary)
        if isinstance(e, OSError) and e.errno and e.filename in (None, temporary):
            raise _told(e, "; the file is as it was before", path) from e
        raise
    _sync_folder(path.parent)


def _told(error: OSError, more: str, path: Path) -> OSError:
    """What the system says, of the file that was meant."""
    return type(error)(error.errno, f"{error.strerror}{more}", str(path))


def _mode(path: Path) -> int:
    """The permissions of the file that is there, or those of any new file."""
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the renaming last, where the system can: Windows has no way to open a folder."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
