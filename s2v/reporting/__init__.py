"""Runs side by side on one HTML page: what they were, how they trained, what the test found, what they show."""
