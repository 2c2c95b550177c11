"""Becomes a program of PostgreSQL that ends with its parent and does not run as root.

Run by its path in a fresh interpreter: one thread, the standard library alone. Changing who a
process is between fork and exec is not safe in a program that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

AS_IS = "as-is"
NAMESPACE = "namespace"
NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


def become(account: str) -> None:
    """Be the user `account`: `as-is`, `namespace`, or UID:GID.

    In a user namespace root appears as nobody, which PostgreSQL accepts, and goes on owning its
    files: nothing has to change hands, and no folder above has to be opened.
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
        os.setuid(uid)


def call(function: str, *arguments: int) -> None:
    """Call a function of the C library that Python has no name for."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def main(parent: str, signal_at_its_end: str, account: str, *command: str) -> None:
    """Take the place of this process by `command`."""
    become(account)
    # After `become`, which resets it. The kernel sends it when the *thread* that forked ends.
    call("prctl", PR_SET_PDEATHSIG, int(signal_at_its_end))
    if os.getppid() != int(parent):
        sys.exit("the parent ended before PostgreSQL could start")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    os.execv(command[0], command)  # noqa: S606 - replacing this process is the purpose


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[4]} cannot run as {sys.argv[3]}: {error}")
