"""The pure core of Penstock: resources, revisions, traffic, tasks and the decision engine.

Nothing in this package does I/O, asks the clock or draws a random number.
"""

__version__ = "0.1.0"
