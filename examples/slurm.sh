#!/bin/sh
#SBATCH --job-name=ego-train
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2        # ranks of a node: one a socket is a good start
#SBATCH --cpus-per-task=16         # threads of a rank
#SBATCH --mem=96G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@300        # five minutes before the time is up this script hears of it
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
#
# Pre-training on many machines under Slurm, as many jobs long as it takes:
#
#   sbatch examples/slurm.sh CONFIG.json [--set KEY=VALUE]...
#   sbatch --nodes=8 --time=4:00:00 examples/slurm.sh big.json --set run.batch=8
#
# CONFIG.json's paths are relative to where sbatch was called; annotations, videos, cache and run.out must be on
# a disk that all nodes see. Every job begins with --resume: the first finds nothing and starts, one that was
# put back into the queue (a node lost, preempted, out of time) goes on from the newest whole checkpoint, and
# ends with the bytes of a run left alone. What holds for that: the same configuration and the same number of
# ranks; with another number the global batch would be another one, which is another run.
#
# A step has run.batch × run.accumulate × ranks clips, twice that with scene partners. `ego-train pretrain
# CONFIG.json --dry-run` says beforehand what a rank needs in memory and time. run.checkpoint_minutes (15, say)
# bounds what a lost node costs; the end of a job's time costs nothing but the start of the next.
#
# EGO_TRAIN is the tool where it is not on the PATH. EGO_LAUNCH is what starts the ranks: srun by default, which
# needs a Slurm with PMIx (srun --mpi=list; EGO_PMI names another); else mpirun, which asks Slurm for the nodes
# itself; or any command.
set -u
config=${1:?usage: sbatch slurm.sh CONFIG.json [--set KEY=VALUE]...}
shift
cpus=${SLURM_CPUS_PER_TASK:-1}

start() { # becomes the launcher
    case ${EGO_LAUNCH:-srun} in
    srun) exec srun --mpi="${EGO_PMI:-pmix}" --cpus-per-task="$cpus" "$@" ;;
    mpirun) exec mpirun -n "${SLURM_NTASKS:-1}" --map-by "slot:PE=$cpus" "$@" ;;
    *) exec $EGO_LAUNCH "$@" ;;
    esac
}

echo "job ${SLURM_JOB_ID:-none}, start ${SLURM_RESTART_COUNT:-0}: ${SLURM_NTASKS:-1} ranks of $cpus threads on ${SLURM_JOB_NODELIST:-this machine}"
# In the background, so that this shell hears of the end of its time. srun and mpirun hand the signal on to
# every rank; ego-train finishes its step, saves, and leaves.
start "${EGO_TRAIN:-ego-train}" pretrain "$config" "$@" --threads "$cpus" --progress never --resume &
run=$!
timely=''
trap 'timely=1; kill -USR1 $run 2>/dev/null' USR1
wait $run
status=$?
while kill -0 $run 2>/dev/null; do # a signal cut the waiting short
    wait $run
    status=$?
done

# Saved because the time is up: back into the queue, under the same number. A job that was cancelled stays so.
if [ -n "$timely" ] && [ $status -ne 0 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    echo "out of time, saved; back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
