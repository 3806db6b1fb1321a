"""The daemon: runs the jobs folders of one or several collections, and is known to be alive."""
