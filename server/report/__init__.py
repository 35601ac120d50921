"""What a study leaves for people: the result, the privacy card, the page."""
