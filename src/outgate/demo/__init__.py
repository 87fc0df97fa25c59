"""The task that Outgate exists for, as a user types it, with what is expected of each command.

May not reach into the mesh: everything goes through commands, as a user's would.
"""
