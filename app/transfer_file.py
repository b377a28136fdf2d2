"""Whether an export came whole, known while it is received: its last line counts and hashes those before it."""

from __future__ import annotations

import hashlib
import json


class DamagedExport(Exception):
    """The export was cut off or changed on its way."""

    def __init__(self) -> None:
        super().__init__("The export was cut off.")


class Checked:
    """Takes a file in pieces, whatever their borders, and holds its last line alone."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes."""
        self.lines = 0
        """Whole lines before the last."""
        self._digest = hashlib.sha256()
        self._last: list[bytes] = []

    def take(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        start = 0
        # The line break that ends the last line does not begin another.
        while (end := chunk.find(b"\n", start)) >= 0:
            if self._last and self._last[-1].endswith(b"\n"):
                self._close()
            self._last.append(chunk[start : end + 1])
            start = end + 1
        if start < len(chunk):
            if self._last and self._last[-1].endswith(b"\n"):
                self._close()
            self._last.append(chunk[start:])

    def end(self) -> None:
        """Raises `DamagedExport` where the file has not the end that belongs to it."""
        try:
            said = json.loads(b"".join(self._last))
        except ValueError:
            raise DamagedExport() from None
        expected = {"kind": "end", "lines": self.lines, "sha256": self._digest.hexdigest()}
        if not isinstance(said, dict) or any(said.get(name) != value for name, value in expected.items()):
            raise DamagedExport()

    def _close(self) -> None:
        for piece in self._last:
            self._digest.update(piece)
        self._last.clear()
        self.lines += 1
