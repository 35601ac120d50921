"""Attacks that a private mechanism must withstand, and a broken one must not."""
