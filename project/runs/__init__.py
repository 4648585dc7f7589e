"""The run folder: what lies in it, and how it is written whole and read again."""
