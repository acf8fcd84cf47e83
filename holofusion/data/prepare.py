"""Four lines that stay: the earlier address of `holofusion.data.preparation.prepare`, kept for scripts that import it."""

from holofusion.data.preparation.prepare import prepare

__all__ = ["prepare"]
