"""What tests let a new process do; it imports nothing heavy."""

import json
import os
import resource
import signal
import time
from typing import BinaryIO

from rnncli.process import child_process


def tell(_: bytes, file: BinaryIO) -> None:
    """Write what the child sees and may do."""
    limits = {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in ("CPU", "NOFILE")}
    descriptors = [number for number in range(256) if is_open(number)]
    seen = {"variables": sorted(os.environ), "limits": limits, "open": descriptors}
    child_process.write_text(file, json.dumps(seen).encode())


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def crash(_: bytes, file: BinaryIO) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def sleep(_: bytes, file: BinaryIO) -> None:
    time.sleep(60)


def greet(_: bytes, file: BinaryIO) -> None:
    """Write the number of the process, and wait."""
    child_process.write_text(file, str(os.getpid()).encode())
    file.flush()
    time.sleep(60)


def fill(_: bytes, file: BinaryIO) -> None:
    child_process.limit_data(2**28)
    bytearray(2**30)
    file.write(b"x")
