"""The one exception of this package.

It stands on its own because `topologies` imports nothing of ours; the command line shows it as it
shows a `ConfigError`.
"""


class TopologyError(ValueError):
    """A spec, a graph file, or a drawing's name is wrong.

    The text is one line for a person: the key, or the file and line, what is wrong with it, and
    what would be right.
    """
