"""The hospital's node: Flower's SuperNode and a warm executor of the installed task, supervised."""
