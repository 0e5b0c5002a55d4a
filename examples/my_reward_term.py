"""A reward term pays for short dialogues: `--plugin examples/my_reward_term.py --component brevity=0.1`."""

from proact import rewards
from proact.records import Trajectory


@rewards.register("brevity")
def brevity(trajectory: Trajectory) -> float:
    return 1 / len(trajectory.messages)
