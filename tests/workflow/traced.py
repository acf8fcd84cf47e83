"""The command `holofusion`, whose trainings take their time, and note every step in `steps.jsonl`: who took it, and when."""

import json
import os
import sys
import time

from holofusion.cli import main

if sys.argv[1] in ("warmup", "train"):
    from holofusion.training import loop

    draw_batch = loop.draw_batch

    def noted(*arguments):
        with open("steps.jsonl", "a") as file:
            line = {
                "pid": os.getpid(),
                "job": os.environ.get("SLURM_JOB_ID"),
                "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
            }
            file.write(json.dumps(line) + "\n")
        time.sleep(0.1)
        return draw_batch(*arguments)

    loop.draw_batch = noted
main()
