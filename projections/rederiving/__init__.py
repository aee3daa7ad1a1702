"""Decisions of the log made again; `decided` is where to begin reading."""
