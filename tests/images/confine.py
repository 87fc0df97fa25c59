"""Runs a command as a pod would, in a mount namespace: `confine.py ROOT UID CAPABILITIES COMMAND...`.

The root file system is read-only, with a writable /run, no capability but those listed can be had, nor a new privilege.
Standard library only; all is imported before the root changes.
"""

import ctypes
import os
import subprocess
import sys

CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13}
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def main(root: str, uid: str, capabilities: str, *command: str) -> None:
    mounts: tuple[tuple[str, ...], ...] = (
        ("--bind", root, root),
        ("-t", "proc", "proc", f"{root}/proc"),
        ("-t", "tmpfs", "-o", "mode=777", "tmpfs", f"{root}/run"),
        ("--bind", "/dev", f"{root}/dev"),
        ("-o", "remount,bind,ro", root),
    )
    for words in mounts:
        subprocess.run(["mount", *words], check=True)
    libc = ctypes.CDLL(None, use_errno=True)
    os.chroot(root)
    os.chdir("/")
    kept = {CAPABILITIES[each] for each in capabilities.split(",") if each}
    with open("/proc/sys/kernel/cap_last_cap") as file:  # noqa: PTH123 - pathlib may import more
        last = int(file.read())
    for each in set(range(last + 1)) - kept:
        prctl(libc, _PR_CAPBSET_DROP, each)
    prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    os.setgroups([])
    os.setresgid(int(uid), int(uid), int(uid))
    os.setresuid(int(uid), int(uid), int(uid))
    os.execvpe(command[0], command, {"PATH": _PATH})  # noqa: S606 - there is no shell


def prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    if libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option} {value}")


if __name__ == "__main__":
    main(*sys.argv[1:])
