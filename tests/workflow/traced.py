"""The command `holofusion`, whose trainings take their time, and note every step in `steps.jsonl`."""

import json
import os
import sys
import time

from holofusion.cli.main import main


def trace() -> None:
    from holofusion.training import loop

    draw_batch = loop.draw_batch

    def noted(*arguments):
        with open("steps.jsonl", "a") as file:
            file.write(json.dumps({"pid": os.getpid(), "job": os.environ.get("SLURM_JOB_ID")}) + "\n")
        time.sleep(0.1)
        return draw_batch(*arguments)

    loop.draw_batch = noted


if __name__ == "__main__":
    if sys.argv[1] == "train":
        trace()
    main()
