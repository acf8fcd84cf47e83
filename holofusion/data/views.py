"""Four lines that stay: the earlier address of `holofusion.data.prepared`, kept for scripts that import it."""

from holofusion.data.prepared import PreparedCategory

__all__ = ["PreparedCategory"]
