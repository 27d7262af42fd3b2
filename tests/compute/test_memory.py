import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from danqing.compute import memory
assert memory.keep_freed()
def work():
    for i in range(20):
        torch.ones(1 + i % 3, 2**20).add_(1)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_kept_for_the_next_tensor():
    """Once warm, tensors that come and go cost almost no page faults; they would cost about 40,000."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10_000
