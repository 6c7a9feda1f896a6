"""The messages that the mail catcher keeps: what the outside has seen."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from services.core.local.mail_catcher import ENVELOPE_HEADER

MESSAGE_ID = "message-id"


class MailFolder:
    """Reads the messages of a folder as they come in.

    Args:
        folder: That of the mail catcher.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: set[str] = set()
        self.ids: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """How often each Message-ID has arrived, by address."""

    def read(self) -> int:
        """Take in what has arrived since; return how many messages there are."""
        for path in self._folder.glob("*.eml"):
            if path.name not in self._read:
                self._take(path)
                self._read.add(path.name)
        return len(self._read)

    def _take(self, path: Path) -> None:
        address = identity = ""
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name == ENVELOPE_HEADER:
                    address = value.strip()
                elif name.lower() == MESSAGE_ID:
                    identity = value.strip()
                if not line.strip():
                    break
        self.ids[address][identity] += 1

    def messages(self, address: str) -> int:
        """Say how many messages an address has got."""
        return self.ids[address].total() if address in self.ids else 0

    def identities(self, address: str) -> int:
        """Say how many different mails an address has got, by their Message-IDs."""
        return len(self.ids[address]) if address in self.ids else 0
