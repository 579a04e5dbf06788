"""What the task browser shows, as plain values: all that reads, nothing that draws."""
