"""What `outgate check` looks at: whether Outgate can be installed in a cluster, and whether what is installed works.

What is read is judged by functions of values alone; each says what was seen, and for what is not well what to do.
"""
