"""Sending periodic tasks: from settings to rows, from rows that are due to messages.

``plan`` decides and is pure; ``send`` takes one row and does what was decided, in one transaction;
``loop`` sleeps until the next one is due. Any number of processes may do that at the same time.
"""
