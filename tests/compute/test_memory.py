import subprocess
import sys

from danqing.compute import memory

CODE = """
import resource, torch
from danqing.compute import memory
kept = memory.keep_freed()
def work():
    for i in range(20):
        torch.ones(1 + i % 3, 2**20).add_(1)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_kept_for_the_next_tensor():
    """Once warm, tensors that come and go cost almost no page faults; they would cost about 40,000."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, faults = (int(word) for word in done.stdout.split())
    assert kept == memory.keep_freed() == sys.platform.startswith("linux") or not kept
    assert not kept or faults < 10_000
