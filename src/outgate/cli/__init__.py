"""The command line: one module for each group of commands, thin; what they do is elsewhere.

May not hold logic. Commands are imported when they are used, so that each starts fast.
"""
