"""The launcher that makes each attempt a pod; the design is in docs/design/kubernetes.md.

`manifest.py` says what is in a pod, `places.py` where things lie in it, `names.py` what it is called, `policy.py` what
a namespace allows.
"""
