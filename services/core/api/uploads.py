"""Takes uploads into storage as they come in; nothing of them is whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from services.core.api.problems import Problem
from services.core.usecases.safe_names import safe_name
from services.core.usecases.submit_uploads import Upload
from shared.storage import Digest, Storage

MOST_FILES = 1000
MOST_FIELDS = 20
LONGEST_FIELD = 4096
LONGEST_NAME = 1024


class FileInMaking:
    """A file that is being written and hashed."""

    def __init__(self, storage: Storage, path: str, name: str) -> None:
        self._path, self._name = path, name
        self._sha256 = hashlib.sha256()
        self._file: BinaryIO = storage.path(path).open("xb")

    def write(self, data: bytes | memoryview) -> None:
        """Take the next part."""
        self._sha256.update(data)
        self._file.write(data)

    def end(self) -> Upload:
        """Finish it."""
        size = self._file.tell()
        self.close()
        return Upload(self._path, self._name, Digest(size, self._sha256.hexdigest()))

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class Form:
    """A ``multipart/form-data`` body: files go into a folder of the storage, fields are kept.

    Args:
        storage: Where the files go.
        folder: An empty folder there.
        content_type: The header of the request.

    Raises:
        Problem: 415 when the body is something else.
    """

    def __init__(self, storage: Storage, folder: str, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or b"boundary" not in options:
            detail = "Send the files as multipart/form-data: curl -F files=@report.pdf"
            raise Problem(415, "no-form", detail)
        self._storage, self._folder = storage, folder
        self.uploads: list[Upload] = []
        self.fields: dict[str, str] = {}
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = b"", b""
        self._file: FileInMaking | None = None
        self._field: str | None = None
        self._text = b""
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        """Take the next part of the body.

        Raises:
            Problem: 400 when it is malformed, 413 when it has too many files or fields.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise Problem(400, "malformed-form", f"The form is malformed: {error}") from None

    def finish(self) -> None:
        """Refuse a body that ended too early."""
        try:
            self._parser.finalize()
        except FormParserError as error:
            raise Problem(400, "malformed-form", f"The form is malformed: {error}") from None
        if self._file is not None or self._field is not None:
            raise Problem(400, "malformed-form", "The form ends in the middle of a part.")

    def close(self) -> None:
        """Let go of a file that was not finished."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._headers.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            if len(self.fields) == MOST_FIELDS:
                raise Problem(413, "too-many-fields", f"A form has {MOST_FIELDS} fields at most.")
            self._field, self._text = name, b""
            return
        filename = options[b"filename"].decode("utf-8", "replace")[:LONGEST_NAME]
        if len(self.uploads) == MOST_FILES:
            raise Problem(413, "too-many-files", f"{MOST_FILES} files go into one job; send the others as another.")
        position = len(self.uploads) + 1
        path = f"{self._folder}/{position:06}-{safe_name(PurePosixPath(filename).name)}"
        self._file = FileInMaking(self._storage, path, filename or f"file {position}")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > LONGEST_FIELD:
            raise Problem(413, "too-large", f"A field has {LONGEST_FIELD} bytes at most.")

    def _end(self) -> None:
        if self._file is not None:
            self.uploads.append(self._file.end())
            self._file = None
        elif self._field is not None:
            self.fields[self._field] = self._text.decode("utf-8", "replace")
            self._field = None


async def receive_form(request: Request, storage: Storage, folder: str) -> Form:
    """Read a form to its end, each part of it into storage as it comes.

    Raises:
        Problem: It is none, or it is malformed, too large or too slow.
    """
    form = Form(storage, folder, request.headers.get("content-type", ""))
    try:
        async for data in request.stream():
            await run_in_threadpool(form.feed, data)
        await run_in_threadpool(form.finish)
    finally:
        form.close()
    return form


async def receive_file(request: Request, storage: Storage, folder: str, name: str) -> Upload:
    """Read a body to its end into a file."""
    with _in_making(storage, f"{folder}/{safe_name(name)}", name) as file:
        async for data in request.stream():
            await run_in_threadpool(file.write, data)
        return file.end()


@contextmanager
def _in_making(storage: Storage, path: str, name: str) -> Iterator[FileInMaking]:
    with ExitStack() as stack:
        file = FileInMaking(storage, path, name)
        stack.callback(file.close)
        yield file
