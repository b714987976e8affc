"""Keeps what a node must remember across restarts: one file that is appended to, and now and then written anew.

A save appends the rows that changed and one record that makes them count, and waits until they are on disk. When the
file has grown to twice what it need be, the next save writes all rows to a new file and renames it. So a process may
end at any point, and the file tells one save or the one before. Knows
nothing of what rows mean. Blocks; a shell calls it where that does not matter, one call at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from node.errors import DecodeError, StartError, StorageError
from node.messages.packing import pack
from node.storage.files import Files
from node.storage.records import HEADER_BYTES, Rows, header, pack_commit, pack_delete, pack_put, scan, writer_of
from node.types import NodeId, short_id

__all__ = ["STATE_FILE", "Loaded", "StateFile"]

STATE_FILE = "state"
FILE_BYTES_MAX = 64 << 20
"""Several times the largest state with its journal; a file beyond it is not one of this node's."""

JOURNAL_BYTES_MIN = 256 << 10
"""Growth below which writing anew is not worth it."""

PART_JOURNAL_BYTES_MIN = 4 << 20
"""Growth by parts of saves that the next whole save undoes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found. rows: of the last whole save. problem: one line for a person, or "" when all was well."""

    rows: Rows
    problem: str = ""


class StateFile:
    """The state of one node in one directory, which this process alone uses."""

    def __init__(self, directory: Path, node_id: NodeId, files: Files | None = None) -> None:
        self._path = directory / STATE_FILE
        self._node_id = node_id
        self._files = files if files is not None else Files()
        self._digests: dict[tuple[str, bytes], bytes] = {}
        self._size = 0
        self._compact_size = 0
        self._is_clean = False
        """Whether the file is known to end with a whole save, so that more may be appended."""

    def load(self) -> Loaded:
        """What the last whole save told; nothing when there is no file.

        A file that is damaged, or another node's, is moved to `state.damaged` and the node begins anew: what is lost is
        remembered for comfort. StartError: the file is of another version, or cannot be read.
        """
        try:
            data = self._files.read(self._path, FILE_BYTES_MAX + 1)
        except OSError as error:
            raise StartError(f"state file {self._path} cannot be read: {error.strerror}") from error
        if data is None:
            return Loaded({})
        problem = self._unfit(data)
        if problem:
            return Loaded({}, self._move_aside(problem))
        found = scan(data)
        self._digests = {
            (section, key): _digest(pack(row)) for section, rows in found.rows.items() for key, row in rows.items()
        }
        self._size = self._compact_size = found.good_bytes
        self._is_clean = found.good_bytes == len(data)
        if self._is_clean:
            return Loaded(found.rows)
        lost = len(data) - found.good_bytes
        return Loaded(found.rows, f"state file {self._path}: the last {lost} bytes are not whole and were left out")

    def save(self, rows: Rows) -> bool:
        """Makes these rows the ones that count, on disk before this returns; whether there was anything to write.

        StorageError: it cannot be written; what counted before does so still, and a later save may succeed.
        """
        packed = {(section, key): row for section, rows_of in rows.items() for key, row in rows_of.items()}
        digests = {place: _digest(pack(row)) for place, row in packed.items()}
        changed = [place for place, digest in digests.items() if self._digests.get(place) != digest]
        removed = [place for place in self._digests if place not in digests]
        if self._is_clean and not changed and not removed:
            return False
        records = [pack_put(*place, packed[place]) for place in changed] + [pack_delete(*place) for place in removed]
        journal = b"".join(records) + pack_commit(len(records))
        try:
            if self._has_room(journal, JOURNAL_BYTES_MIN):
                self._append(journal, is_synced=True)
            else:
                everything = [pack_put(*place, row) for place, row in packed.items()]
                self._write_anew(header(self._node_id) + b"".join(everything) + pack_commit(len(everything)))
        except OSError as error:
            raise StorageError(f"state file {self._path} cannot be written: {error.strerror}") from error
        self._digests = digests
        return True

    def save_part(self, rows: Rows) -> bool:
        """Makes these rows the ones that count in their sections, which survives the end of the process.

        It survives the end of the power once the next save is done: this one does not wait for the disk. Whether it was
        written: there may be nothing to write, or no room in the journal before the next save. StorageError as `save`.
        """
        packed = {(section, key): row for section, rows_of in rows.items() for key, row in rows_of.items()}
        digests = {place: _digest(pack(row)) for place, row in packed.items()}
        changed = [place for place, digest in digests.items() if self._digests.get(place) != digest]
        removed = [place for place in self._digests if place[0] in rows and place not in digests]
        records = [pack_put(*place, packed[place]) for place in changed] + [pack_delete(*place) for place in removed]
        journal = b"".join(records) + pack_commit(len(records))
        if not records or not self._has_room(journal, PART_JOURNAL_BYTES_MIN):
            return False
        try:
            self._append(journal, is_synced=False)
        except OSError as error:
            raise StorageError(f"state file {self._path} cannot be written: {error.strerror}") from error
        for place in removed:
            del self._digests[place]
        self._digests.update(digests)
        return True

    def _has_room(self, journal: bytes, least: int) -> bool:
        """Whether this may be appended, or everything is to be written anew."""
        return self._is_clean and self._size + len(journal) <= 2 * self._compact_size + least

    def _append(self, journal: bytes, *, is_synced: bool) -> None:
        # What is written in part must not be followed by more: the reader stops at what is not whole.
        self._is_clean = False
        descriptor = self._files.open_to_append(self._path)
        try:
            self._write(descriptor, journal, is_synced=is_synced)
        finally:
            self._files.close(descriptor)
        self._is_clean = True
        self._size += len(journal)

    def _write_anew(self, content: bytes) -> None:
        draft = self._path.with_name(STATE_FILE + ".new")
        descriptor = self._files.create(draft)
        try:
            self._write(descriptor, content, is_synced=True)
        finally:
            self._files.close(descriptor)
        # Even when the last line fails: which of the two files is there is not known, but each is whole.
        self._is_clean = False
        self._files.rename(draft, self._path)
        self._files.sync_directory(self._path.parent)
        self._is_clean = True
        self._size = self._compact_size = len(content)

    def _write(self, descriptor: int, content: bytes, *, is_synced: bool) -> None:
        view = memoryview(content)
        while view:
            view = view[self._files.write(descriptor, bytes(view)) :]
        if is_synced:
            self._files.sync(descriptor)

    def _unfit(self, data: bytes) -> str:
        """Why that file is of no use; "" when it is."""
        if len(data) > FILE_BYTES_MAX:
            return "it is too large to be one"
        try:
            writer = writer_of(data)
        except DecodeError as error:
            if error.reason == "unknown_kind":
                raise StartError(
                    f"state file {self._path} was written by another version of this program: move it away, or use that"
                ) from error
            return "it is damaged" if len(data) >= HEADER_BYTES else "it is not whole"
        return "" if writer == self._node_id else f"it belongs to node {short_id(writer)}"

    def _move_aside(self, reason: str) -> str:
        aside = self._path.with_name(STATE_FILE + ".damaged")
        try:
            self._files.rename(self._path, aside)
        except OSError as error:
            return f"state file {self._path} is not used: {reason}; it cannot be moved away: {error.strerror}"
        return f"state file {self._path} is not used: {reason}; moved to {aside.name}, the node begins anew"


def _digest(packed: bytes) -> bytes:
    return blake2b(packed, digest_size=16).digest()
