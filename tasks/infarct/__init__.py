"""Infarct yes or no, and in which segments, from how the segments of the left ventricle move."""
