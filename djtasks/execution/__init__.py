"""Running one message: the same executor in a worker's child, in a thread, eagerly, in tests."""
