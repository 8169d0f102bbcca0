"""The stages; `street.py` is the whole graph on one page."""
