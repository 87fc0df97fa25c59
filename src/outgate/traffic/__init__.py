"""What one can say about a call, in values of no front end: matching, routing, connecting, permitting.

Every front end reads what users write into these, and the pipeline programs these alone; so a feature is written once.
Nothing here may know a kind of resource, or Envoy.
"""
