"""Refresh caches on a device until killed: `python -m scripts.gpu_checks.refresher cuda:0`."""

from __future__ import annotations

import sys

from scripts.gpu_checks.plain_files import provide_missing_packages

if __name__ == "__main__":
    provide_missing_packages()
    import torch

    from models.runtime.renderer import CachedRenderer
    from scripts.benchmarking.avatars import front
    from scripts.gpu_checks.check import Target
    from scripts.gpu_checks.goals import goal_avatar

    device = sys.argv[1]
    torch.set_num_threads(1)
    renderer = CachedRenderer(goal_avatar(Target(device, 1)), device)
    renderer.warm_up()
    cache, state = renderer.allocate_cache(), front(renderer.manifest)
    print("refreshing", flush=True)
    while True:
        renderer.refresh(state, cache)
        if device != "cpu":
            torch.cuda.synchronize(device)
