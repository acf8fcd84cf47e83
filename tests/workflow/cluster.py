"""A SLURM cluster of four nodes on this machine, for as long as a test session lasts: real daemons, invented hardware."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins")
NODES = {
    "n1": 3,
    "n2": 16,
    "n3": 16,
    "n4": 16,
}  # CPUs of each; n1 has few, so that a whole run does not crowd this machine
GPUS = 8  # of each node
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_min_interval=200000,batch_sched_delay=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
MailProg=/bin/true
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=10
{nodes}
PartitionName=cpu Nodes=n1 Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes=n1 MaxTime=INFINITE
PartitionName=calm Nodes=n2 MaxTime=INFINITE
PartitionName=wide Nodes=n1,n2 MaxTime=INFINITE
PartitionName=frail Nodes=n2,n3 MaxTime=INFINITE
PartitionName=preemptible Nodes=n4 MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=n4 MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF
"""


class Unavailable(Exception):
    """This machine cannot run the cluster; the message says why."""


def install() -> None:
    """Install the daemons from Debian's packages where they are missing. Raises Unavailable where that cannot be done."""
    if os.geteuid():
        raise Unavailable("slurmd needs root")
    if all(map(shutil.which, DAEMONS)):
        return
    if not shutil.which("apt-get"):
        raise Unavailable("SLURM is not installed, and there is no apt-get")
    quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "capture_output": True, "timeout": 120}
    try:
        subprocess.run(["apt-get", "update"], check=True, **quiet)
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES], check=True, **quiet)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"SLURM's packages cannot be installed ({error})") from None


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Cluster:
    """The running cluster. Everything it writes, and the work folder of every job, lies in `folder`.

    `environment` is that of a login node. The partitions `cpu` and `gpu` are n1, `calm` is n2; `frail` begins on n3 and may
    go on on n2; on n4, a job of the partition `urgent` pushes out those of `preemptible`, which are queued again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen] = {}
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Write the configuration and start the daemons. Raises Unavailable when the nodes do not come up."""
        self._configure()
        self._daemon(
            "munged",
            "munged",
            "--foreground",
            "--force",
            f"--key-file={self.folder}/munge.key",
            f"--socket={self.folder}/munge.socket",
            f"--pid-file={self.folder}/munged.pid",
            f"--seed-file={self.folder}/munge.seed",
        )
        self.wait("munge's socket", lambda: (self.folder / "munge.socket").exists())
        self._daemon("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self._daemon(node, "slurmd", "-D", "-N", node)
        idle = ("sinfo", "--noheader", "--states=idle", "--Node", "--format=%N")
        self.wait("the nodes", lambda: set(self._try(*idle).split()) == set(NODES))

    def _configure(self) -> None:
        ports = free_ports(1 + len(NODES))
        nodes, devices = [], []
        for number, (node, cpus) in enumerate(NODES.items(), 1):
            (self.folder / "spool" / node).mkdir(parents=True)
            nodes.append(
                f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={ports[number]} "
                f"CPUs={cpus} RealMemory=1000000 Weight={10 - number} Gres=gpu:{GPUS}"
            )
            for gpu in range(GPUS):
                device = self.folder / "devices" / node / f"nvidia{gpu}"
                device.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.mknod(device, 0o20666, os.makedev(1, 3))  # like /dev/null
                except OSError as error:
                    raise Unavailable(f"device files cannot be made here ({error})") from None
                devices.append(f"NodeName={node} Name=gpu File={device}")
        text = CONFIGURATION.format(host=socket.gethostname(), folder=self.folder, ports=ports, nodes="\n".join(nodes))
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text("\n".join(devices) + "\n")
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # no cgroup is used, but the file is read
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o600)
        (self.folder / "state").mkdir()
        (self.folder / "bin").mkdir()
        # inside a job, Snakemake keeps SLURM_CONF from srun; clusters have their configuration in /etc/slurm
        shim = f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which("srun")} "$@"\n'
        (self.folder / "bin" / "srun").write_text(shim)
        (self.folder / "bin" / "srun").chmod(0o755)

    def _daemon(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("w")
        bound = ["setpriv", "--pdeathsig", "TERM"]  # ends with this process, too, should that be killed
        self.daemons[name] = subprocess.Popen(
            [*bound, *command], env=self.environment, stdout=log, stderr=log, cwd=self.folder
        )

    def wait(self, what: str, ready, seconds: float = 20) -> None:
        """Wait until `ready()` holds. Raises Unavailable naming `what` after so many seconds."""
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                raise Unavailable(f"{what}: not there after {seconds:.0f} s; see {self.folder}/*.log")
            time.sleep(0.1)

    def command(self, *arguments: object) -> str:
        """Output of a command on the login node."""
        return subprocess.run(
            [str(each) for each in arguments],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def _try(self, *arguments: object) -> str:
        with suppress(subprocess.CalledProcessError):
            return self.command(*arguments)
        return ""

    def stop(self) -> None:
        """Cancel all jobs, stop the daemons, and end whatever still runs in `folder`, as does a job of a lost node."""
        if len(self.daemons) > 1:
            self._try("scancel", "--user=root")
            with suppress(Unavailable):
                self.wait("an empty queue", lambda: not self._try("squeue", "--noheader"))
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder):
                    process.kill()
