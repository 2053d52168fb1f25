"""The small files that a step leaves: its parameters, and what its executor says."""

import os

from penstock_agent.content import ContentError, ContentMissingError, open_file

TEXT_BYTES_MAX = 16 * 1024 * 1024
"""What is larger belongs into an artifact."""


def read_text(path: str, within: tuple[str, ...] = ()) -> str | None:
    """The text of a file that the step may have written; None without one. Raises ContentError.

    `within` are the folders that it has to lie in, wherever links lead; empty: anywhere.
    """
    name = os.path.basename(path)
    try:
        fd = open_file(path, within)
    except ContentMissingError:
        return None
    with open(fd, "rb") as file:
        size_bytes = os.fstat(fd).st_size
        if size_bytes > TEXT_BYTES_MAX:
            raise ContentError(f"{name} has {size_bytes} bytes, more than {TEXT_BYTES_MAX}: make it an artifact")
        try:
            return file.read().decode()
        except UnicodeDecodeError as error:
            raise ContentError(f"{name} is not UTF-8 text: {error}") from error
