"""Run one of PostgreSQL's programs as somebody whom it accepts: a script, never imported.

    launch.py plain|namespace|user UID GID wait|detach PROGRAM ARGUMENT...

PostgreSQL refuses to be run by root.  ``namespace`` gives it a user namespace in which
root is called UID, though the kernel still knows it as root: no file needs another owner,
and no folder needs opening.  ``user`` really becomes UID.  ``detach`` starts the program
in the background, belonging to no terminal and to no living parent, and prints its
process id.

This is a process of its own because forking with threads about is not safe, and those
who start PostgreSQL may have threads.
"""

import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000

# What the exit code says when the namespace was refused; PostgreSQL's programs use 1 to 3.
NAMESPACE_REFUSED = 96


def enter_namespace(uid: int, gid: int) -> None:
    """Enter a user namespace in which we are called `uid` and `gid`."""
    import ctypes  # noqa: PLC0415 - the other ways do without

    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        Path(f"/proc/self/{name}").write_text(text, encoding="ascii")


def become(mode: str, uid: int, gid: int) -> None:
    """Change who we are, as the mode says."""
    if mode == "namespace":
        try:
            enter_namespace(uid, gid)
        except OSError as error:
            sys.stderr.write(f"{error.strerror}\n")
            sys.exit(NAMESPACE_REFUSED)
    elif mode == "user":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def main(mode: str, uid: str, gid: str, manner: str, *command: str) -> None:
    """Become the program that the arguments name."""
    os.umask(0o077)
    os.chdir("/")
    become(mode, int(uid), int(gid))
    if manner == "detach":
        child = os.fork()
        if child:
            sys.stdout.write(f"{child}\n")
            return
        os.setsid()
        # Whoever reads the process id waits for the end of standard output.
        os.dup2(2, 1)
    try:
        os.execv(command[0], command)  # noqa: S606 - that there is no shell is the point
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(127)


if __name__ == "__main__":
    main(*sys.argv[1:])
