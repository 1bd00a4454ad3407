import subprocess
import sys

import pytest

# Blocks of the size that hashing a password takes, in as many threads at once.
_PROGRAM = """
import resource, sys, threading
from rostra_kit.memory import settle_memory

def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def use(barrier):
    for _ in range(3):
        block = bytearray(19 << 20)
        barrier.wait()
        del block

settle_memory()
before = resident_bytes()
barrier = threading.Barrier(4)
threads = [threading.Thread(target=use, args=[barrier]) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print((resident_bytes() - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_large_blocks_are_given_back() -> None:
    grown = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, timeout=60)
    assert int(grown.stdout) < 8
