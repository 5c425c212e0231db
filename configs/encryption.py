"""Whether a folder lies on an encrypted file system: dm-crypt (LUKS) under its device, or fscrypt on itself.

Called by ``configs.production``. Encryption at rest is the file system's work and not ours: the full-text,
DuckDB, Oxigraph, LMDB and FAISS files beside the ledger are read by memory map and rewritten in place by
libraries that would see ciphertext; encrypting only what we write ourselves would leave the same text in the
clear beside it. One layer under all of them covers every file, journal and temporary file. Backups, which
leave the machine, are sealed on their own (``data.backups.sealing``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

#: What a device mapper's id begins with when it encrypts (cryptsetup: CRYPT-LUKS2-…, CRYPT-PLAIN-…).
_CRYPT = "CRYPT-"
#: ``FS_IOC_GETFLAGS`` and ``FS_ENCRYPT_FL`` of linux/fs.h: what fscrypt marks a folder with (64-bit Linux).
_GET_FLAGS, _ENCRYPTED = 0x8008_6601, 0x0000_0800


class Disks:
    """What the system says of its disks; tests give another ``root`` and ``flags``."""

    def __init__(self, root: Path = Path("/"), flags: Callable[[Path], int] | None = None) -> None:
        self._root = root
        self._flags = _flags_of if flags is None else flags

    def encrypts(self, folder: Path) -> bool:
        """Return whether everything written into ``folder`` is encrypted on the disk."""
        if self._flags(folder) & _ENCRYPTED:
            return True
        device = self._device_of(folder)
        return device is not None and self._is_crypt(device)

    def _device_of(self, folder: Path) -> Path | None:
        """Return the folder in /sys of the device that a path's file system is on."""
        found: tuple[int, str, str] | None = None
        for point, number, source in self._mounts():
            if folder.is_relative_to(point) and (found is None or len(point) >= found[0]):
                found = len(point), number, source
        if found is None:
            return None
        _, number, source = found
        if not number.startswith("0:"):
            return self._root / "sys/dev/block" / number
        # Btrfs and others have no device number of their own; they name their device.
        if not source.startswith("/dev/"):
            return None
        path = (self._root / source.lstrip("/")).resolve()
        return self._root / "sys/class/block" / path.name

    def _mounts(self) -> Iterator[tuple[str, str, str]]:
        """Yield mount point, device number and source (proc(5), /proc/self/mountinfo)."""
        for line in _text(self._root / "proc/self/mountinfo").splitlines():
            before, _, after = line.partition(" - ")
            fields, rest = before.split(), after.split()
            if len(fields) > 4 and len(rest) > 1:
                yield fields[4].replace("\\040", " "), fields[2], rest[1].replace("\\040", " ")

    def _is_crypt(self, device: Path) -> bool:
        """Return whether a device, or all that it is made of, encrypts: LVM and RAID may lie between."""
        if _text(device / "dm/uuid").startswith(_CRYPT):
            return True
        try:
            below = sorted((device / "slaves").iterdir())
        except OSError:
            return False
        return bool(below) and all(self._is_crypt(one) for one in below)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _flags_of(folder: Path) -> int:
    import fcntl
    import struct

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return 0
    try:
        return int(struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, struct.pack("l", 0)))[0])
    except OSError:
        return 0
    finally:
        os.close(descriptor)
