"""Find, start, await and stop the servers that tests run on; the modules beside this one know each product."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_TIMEOUT_SECONDS = 10.0
LOG_TAIL_LINES = 15


class ServerNotFoundError(Exception):
    """No program of the wanted server is installed here."""


class ServerStartError(Exception):
    """A server ended or stayed silent instead of becoming ready; the message ends with its log."""


def search_folders() -> list[Path]:
    """Return the folders where servers are looked for: what hack/install-servers filled, PATH and /usr/sbin."""
    installed = Path(os.environ.get("ROSTRA_SERVERS") or "~/.cache/rostra/servers").expanduser() / "bin"
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    return [installed, *on_path, Path("/usr/sbin")]


def find_program(*names: str) -> Path:
    """Return the first program of one of these names in `search_folders()`.

    Raises:
        ServerNotFoundError: There is none.
    """
    return _first(_programs(names), names)


def find_server(*names: str, is_wanted: Callable[[str], bool]) -> Path:
    """Return the first program of one of these names whose `--version` line is the wanted one.

    The name alone does not tell: Debian's `mysqld` may be MariaDB, and `redis-server` may be Valkey.

    Raises:
        ServerNotFoundError: There is none.
    """
    return _first((program for program in _programs(names) if is_wanted(_version(program))), names)


def _programs(names: Sequence[str]) -> Iterator[Path]:
    for folder in search_folders():
        yield from (folder / name for name in names if os.access(folder / name, os.X_OK))


def _first(programs: Iterator[Path], names: Sequence[str]) -> Path:
    for program in programs:
        return program
    raise ServerNotFoundError(" or ".join(names))


def _version(program: Path) -> str:
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new private folder; its path is short, because a Unix socket's path may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="rostra-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def run_to_end(command: Sequence[str | Path], *, stdin: str = "") -> None:
    """Run a preparing command.

    Raises:
        ServerStartError: It failed.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServerStartError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


@contextmanager
def running(command: Sequence[str | Path], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server with its output in `log`; at the end ask it to stop (SIGTERM), then make it (SIGKILL).

    Its own session keeps a Ctrl-C meant for pytest away from it: the fixtures stop it once they are done with it. Where
    `setpriv` is at hand the kernel stops it too when pytest itself is killed.
    """
    guard = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen([*guard, *command], stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(
    process: subprocess.Popen[bytes],
    answers: Callable[[], object],
    *,
    unless: type[Exception],
    log: Path,
    timeout_seconds: float = 60.0,
) -> None:
    """Call `answers` until it no longer raises `unless`.

    Raises:
        ServerStartError: The process ended, or time ran out.
    """
    deadline = time.monotonic() + timeout_seconds
    while process.poll() is None:
        try:
            answers()
        except unless as error:
            if time.monotonic() > deadline:
                raise ServerStartError(f"no answer in {timeout_seconds:.0f} s\n{_tail(log)}") from error
            time.sleep(0.05)
        else:
            return
    raise ServerStartError(f"ended with code {process.returncode}\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
