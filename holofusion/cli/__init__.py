"""The command `holofusion`: one verb per step, and verbs for whole folders."""
