"""Rows that the test tasks write and read."""

from __future__ import annotations

from django.db import models


class Counter(models.Model):
    """A named number: how often something ran."""

    name = models.CharField(max_length=200, unique=True)
    value = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


class Note(models.Model):
    """A line of text: what ran, in which order."""

    text = models.TextField()

    def __str__(self) -> str:
        return self.text
