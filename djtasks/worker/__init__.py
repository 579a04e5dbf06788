"""The worker: a parent that runs no user code, and children that run nothing else."""
