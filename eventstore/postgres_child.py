"""Becomes a program of PostgreSQL that ends with its parent and does not run as root.

Run by its path in a fresh interpreter: one thread, the standard library alone. Changing who a
process is between fork and exec is not safe in a program that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

AS_IS = "as-is"
NAMESPACE = "namespace"
NOBODY = 65534

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_HEADER = (0x20080522, 0)


def become(account: str) -> None:
    """Be the user `account`: `as-is`, `namespace`, or UID:GID.

    In a user namespace root appears as nobody, which PostgreSQL accepts, and goes on owning its
    files: nothing has to change hands. Another user keeps one capability of root, to pass folders
    that are closed to others: no folder above has to be opened either.
    """
    if account == NAMESPACE:
        uid, gid = os.geteuid(), os.getegid()
        call("unshare", CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
    elif account != AS_IS:
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        call("prctl", PR_SET_KEEPCAPS, 1)
        os.setuid(uid)
        with suppress(OSError):  # root of a container may lack the capability, and not need it
            keep(CAP_DAC_OVERRIDE)


def keep(capability: int) -> None:
    """Keep one capability, through exec, and drop all others."""
    word = ctypes.c_uint32 * 2
    bits = 1 << capability
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits)  # effective, permitted, inheritable
    call("capset", word(*CAPABILITY_HEADER), sets)
    call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def call(function: str, *arguments: int | ctypes.Array[ctypes.c_uint32]) -> None:
    """Call a function of the C library that Python has no name for."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def main(parent: str, last_signal: str, account: str, directory: str, *command: str) -> None:
    """Go to `directory` as `account` and let `command` take the place of this process."""
    become(account)
    os.chdir(directory)
    # After `become`, which resets it. The kernel sends it when the *thread* that forked ends.
    call("prctl", PR_SET_PDEATHSIG, int(last_signal))
    if os.getppid() != int(parent):
        sys.exit("the parent ended before PostgreSQL could start")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    os.execv(command[0], command)  # noqa: S606 - to be replaced is the purpose


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
