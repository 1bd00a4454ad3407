import socket
import subprocess
import sys

from rostra_kit.ports import LOOPBACK, free_port, is_taken

_ASK = "from rostra_kit.ports import free_port; print(*(free_port() for _ in range(100)))"


def test_no_two_processes_are_told_of_the_same_port() -> None:
    processes = [subprocess.Popen([sys.executable, "-c", _ASK], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = " ".join(process.communicate()[0] for process in processes).split()
    assert len(told) == len(set(told)) == 400


def test_port_that_is_listened_on_is_taken() -> None:
    port = free_port()
    assert not is_taken(port)
    with socket.create_server((LOOPBACK, port)):
        assert is_taken(port)
