"""Helpers for the tests of projects that use djtasks."""

from djtasks.testing.capture import CapturedTasks, capture_tasks
from djtasks.testing.run import Ran, run_tasks

__all__ = ["CapturedTasks", "Ran", "capture_tasks", "run_tasks"]
