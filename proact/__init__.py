"""Know what a question is worth: simulate, score, pair, train and compare when to ask and when to act."""

__version__ = "0.1.0"
